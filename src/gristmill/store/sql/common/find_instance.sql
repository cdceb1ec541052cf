select id, resubmits from job where node_id = :node and instance = :instance and superseded_by is null order by id desc limit 1
