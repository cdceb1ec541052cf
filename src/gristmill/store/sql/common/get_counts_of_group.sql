select dialect, state, sum(n) from group_count where group_id = :group group by dialect, state
