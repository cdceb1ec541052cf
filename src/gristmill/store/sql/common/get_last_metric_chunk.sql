select id, last_at from metric_chunk where series_id = :series order by first_at desc, last_at desc, id desc limit 1
