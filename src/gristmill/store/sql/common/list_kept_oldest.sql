select id from kept where owner_id = :owner and id > :cursor order by id limit :most
