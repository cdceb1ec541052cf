select id from job where workflow_id = :workflow and bucket = :bucket and id < :cursor order by id desc limit :most
