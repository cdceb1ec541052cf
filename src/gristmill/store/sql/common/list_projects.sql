select id, applied, name, description, notify, enabled from project order by name
