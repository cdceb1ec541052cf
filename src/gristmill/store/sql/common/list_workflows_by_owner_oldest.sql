select id from workflow where owner_id = :owner and id > :cursor order by id limit :most
