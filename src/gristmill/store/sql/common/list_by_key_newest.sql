select id from job where key = :key and id < :cursor order by id desc limit :most
