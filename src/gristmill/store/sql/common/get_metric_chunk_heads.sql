select id, first_at, last_at, points, in_numbers, total from metric_chunk where series_id = :series order by first_at, last_at, id
