select id from metric_source where name = any(:names)
