select key, value from workflow_label where workflow_id = :workflow order by key
