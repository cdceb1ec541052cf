select id from job where name = :name and id > :cursor order by id limit :most
