delete from metric_chunk where id = :id
