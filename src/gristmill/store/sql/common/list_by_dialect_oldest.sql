select id from job where dialect = :dialect and dialect <> 0 and bucket = :bucket and id > :cursor order by id limit :most
