select id from job where bucket = :bucket and id < :cursor order by id desc limit :most
