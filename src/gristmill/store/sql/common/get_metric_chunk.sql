select times, numbers, texts, extras from metric_chunk where id = :id
