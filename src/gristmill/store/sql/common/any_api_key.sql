select 1 from token where key_hash is not null limit 1
