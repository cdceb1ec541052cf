delete from token where expires_at <= :now
