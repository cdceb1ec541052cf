select id from job where owner_id = :owner and bucket = :bucket and id < :cursor order by id desc limit :most
