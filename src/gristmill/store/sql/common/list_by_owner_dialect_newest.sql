select id from job where owner_id = :owner and dialect = :dialect and dialect >= 2 and bucket = :bucket and id < :cursor order by id desc limit :most
