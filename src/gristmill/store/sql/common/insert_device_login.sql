insert into device_login (device_hash, user_code, expires_at) values (:device_hash, :user_code, :expires_at)
