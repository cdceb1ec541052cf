select id, state, owner_id from job where id = any(:ids)
