select id, password_hash, email, admin, enabled from account where name = :name
