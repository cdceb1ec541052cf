select id from metric_series where id in (select value from json_each(:ids))
