insert into metric_source (owner_id, name, created_at) values (:owner, :name, :now) returning id
