insert into metric_series (source_id, name) values (:source, :name) returning id
