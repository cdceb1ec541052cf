select id from job where state in (4, 5, 6) and id < :cursor order by id desc limit :most
