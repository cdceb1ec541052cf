delete from key_value where owner = :owner and key = :key returning 1
