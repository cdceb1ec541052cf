select state, sum(n) from owner_count where owner_id = :owner group by state
