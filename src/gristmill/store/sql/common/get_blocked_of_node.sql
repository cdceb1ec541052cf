select id from job where node_id = :node and unmet > 0 and superseded_by is null
