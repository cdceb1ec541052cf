insert into token (id, kind, user_name, group_names, scopes, email, key_hash, created_at, expires_at)
values (:id, :kind, :user_name, :group_names, :scopes, :email, :key_hash, :created_at, :expires_at)
