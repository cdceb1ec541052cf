select id from job where group_id = :group and state = :state and id > :cursor order by id limit :most
