select id from job where state = :state and id > :cursor order by id limit :most
