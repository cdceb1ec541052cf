select dialect, state, n from owner_count where owner_id = :owner
