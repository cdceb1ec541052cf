select workflow_id from workflow_label where key = :label and value = :value and workflow_id < :cursor order by workflow_id desc limit :most
