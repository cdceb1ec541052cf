select id, instance from job where node_id = :node and state <> 8 and superseded_by is null order by id
