select count(*), min(at) from metric_tail where series_id = :series
