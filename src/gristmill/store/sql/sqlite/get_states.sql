select id, state, owner_id from job where id in (select value from json_each(:ids))
