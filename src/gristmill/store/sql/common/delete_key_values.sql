delete from key_value where owner = :owner and key >= :low and key < :high
