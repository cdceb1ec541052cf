select id from metric_source where name in (select value from json_each(:names))
