delete from metric_chunk where series_id in (select id from metric_series where source_id = :source)
