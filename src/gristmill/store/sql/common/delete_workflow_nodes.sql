delete from workflow_node where workflow_id = :workflow
