select id, applied, name, password_hash, email, admin, enabled from account order by name
