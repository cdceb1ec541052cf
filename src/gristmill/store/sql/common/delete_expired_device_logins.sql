delete from device_login where expires_at <= :now
