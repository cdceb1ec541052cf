select id from workflow where owner_id = :owner and (ended_at is null or pinned = 1) and id > :cursor order by id limit :most
