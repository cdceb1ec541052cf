select id, name, created_at from metric_source where owner_id = :owner and name > :after order by name limit :most
