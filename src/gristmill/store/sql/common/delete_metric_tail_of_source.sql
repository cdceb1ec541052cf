delete from metric_tail where series_id in (select id from metric_series where source_id = :source)
