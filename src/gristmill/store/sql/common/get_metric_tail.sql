select id, at, value, metadata, cumulative from metric_tail where series_id = :series order by at, id
