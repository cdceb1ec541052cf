select id from job where owner_id = :owner and state = :state and id > :cursor order by id limit :most
