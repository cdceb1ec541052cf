select id from metric_series where source_id = :source and name = :name
