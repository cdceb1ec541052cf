insert into workflow_edge (parent_id, child_id) values (?, ?)
