select n.id, n.workflow_id, w.name, n.name, n.factory, n.dialect_data from workflow_node n join workflow w on w.id = n.workflow_id where n.id = :node
