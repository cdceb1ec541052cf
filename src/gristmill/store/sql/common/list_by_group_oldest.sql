select id from job where group_id = :group and group_id <> 0 and bucket = :bucket and id > :cursor order by id limit :most
