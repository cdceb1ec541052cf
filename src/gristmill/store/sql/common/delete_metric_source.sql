delete from metric_source where id = :source
