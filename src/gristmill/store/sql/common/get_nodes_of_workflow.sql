select id, workflow_id, name, queue_timeout, total, done, failed, waiting, unmet from workflow_node where workflow_id = :workflow order by id
