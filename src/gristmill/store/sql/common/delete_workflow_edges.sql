delete from workflow_edge where child_id in (select id from workflow_node where workflow_id = :workflow)
