select id, name from metric_series where source_id = :source order by name
