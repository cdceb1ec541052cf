delete from metric_series where source_id = :source
