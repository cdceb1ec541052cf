select id from job where key = :key and owner_id = :owner and state in (1, 2, 3, 4, 5, 6) order by id desc limit 1
