select dialect, state, n from group_count where group_id = :group and owner_id = :owner
