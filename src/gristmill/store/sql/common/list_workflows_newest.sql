select id from workflow where id < :cursor order by id desc limit :most
