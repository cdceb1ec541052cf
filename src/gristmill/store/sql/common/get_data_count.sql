select objects from data_count where owner_id = :owner and bucket = :bucket and kind = :kind
