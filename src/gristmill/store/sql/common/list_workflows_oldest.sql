select id from workflow where id > :cursor order by id limit :most
