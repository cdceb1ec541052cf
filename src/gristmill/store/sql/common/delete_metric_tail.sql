delete from metric_tail where series_id = :series and id <= :last
