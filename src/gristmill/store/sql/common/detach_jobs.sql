update job set workflow_id = null, node_id = null where workflow_id = :workflow
