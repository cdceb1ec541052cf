update job set workflow_id = ?, node_id = ?, instance = ?, resubmits = 0 where id = ?
