update account
set name = :name, password_hash = :password_hash, email = :email, admin = :admin, enabled = :enabled
where id = :id
