select id from workflow where name = :name and id > :cursor order by id limit :most
