select expires_at, user_name, group_names, email from device_login where device_hash = :device_hash
