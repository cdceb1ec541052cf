select id, state from job where key = :key and owner_id = :owner and state <> 9 order by id desc limit 1
