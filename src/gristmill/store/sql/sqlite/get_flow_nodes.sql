select id, workflow_id, name, queue_timeout, total, done, failed, waiting, unmet from workflow_node where id in (select value from json_each(:ids))
