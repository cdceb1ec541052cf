select owner_id, dialect, state, n from owner_count where n <> 0
