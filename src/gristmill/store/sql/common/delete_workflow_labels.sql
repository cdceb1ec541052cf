delete from workflow_label where workflow_id = :workflow
