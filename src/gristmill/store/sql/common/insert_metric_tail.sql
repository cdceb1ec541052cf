insert into metric_tail (series_id, at, value, metadata, cumulative) values (?, ?, ?, ?, ?)
