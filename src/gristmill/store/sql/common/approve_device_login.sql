update device_login set user_name = :user_name, group_names = :group_names, email = :email where user_code = :user_code and expires_at > :now and user_name is null returning 1
