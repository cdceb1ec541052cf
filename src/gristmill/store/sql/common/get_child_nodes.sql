select child_id from workflow_edge where parent_id = :node
