select id from metric_series where id = any(:ids)
