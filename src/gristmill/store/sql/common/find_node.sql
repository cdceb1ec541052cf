select id from workflow_node where workflow_id = :workflow and name = :name
