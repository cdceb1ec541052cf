select id from metric_source where owner_id = :owner and name = :name
