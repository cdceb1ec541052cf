select id, enabled, alarmed from pool order by id
