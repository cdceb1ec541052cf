select version, hidden, owner_id, bucket, kind from data_object where id = :id
