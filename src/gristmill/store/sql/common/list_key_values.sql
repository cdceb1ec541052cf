select key, value from key_value where owner = :owner and key >= :low and key < :high order by key limit :most
