delete from device_login where device_hash = :device_hash
