select id from job where node_id = :node and state <= 6 and superseded_by is null
