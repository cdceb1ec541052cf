insert into metric_chunk (series_id, first_at, last_at, points, in_numbers, total, times, numbers, texts, extras) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
