select id, state from job where id = any(:ids)
