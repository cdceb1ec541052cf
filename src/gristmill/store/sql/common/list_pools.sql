select id, applied, name, description, notify, enabled, agents from pool order by name
