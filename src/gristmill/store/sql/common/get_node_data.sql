select name, dialect_data from workflow_node where workflow_id = :workflow and dialect_data is not null
