select state, n from owner_count where owner_id = :owner and dialect = :dialect
