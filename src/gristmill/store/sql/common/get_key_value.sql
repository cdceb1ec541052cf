select value from key_value where owner = :owner and key = :key
