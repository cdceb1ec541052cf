select e.parent_id, e.child_id from workflow_node n join workflow_edge e on e.child_id = n.id where n.workflow_id = :workflow order by e.child_id, e.parent_id
