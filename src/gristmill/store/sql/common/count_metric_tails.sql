select series_id, count(*) from metric_tail group by series_id
