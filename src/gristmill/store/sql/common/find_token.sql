select id, kind, user_name, group_names, scopes, email, created_at, expires_at from token where id = :id
