insert into account (name, password_hash, email, admin, enabled, applied)
values (:name, :password_hash, :email, :admin, :enabled, :applied)
returning id
