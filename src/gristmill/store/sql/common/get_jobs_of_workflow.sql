select id from job where workflow_id = :workflow limit :most
