select id, format, version, manifest, job_id, created_at, modified_at from data_object where owner_id = :owner and bucket = :bucket and kind = :kind and name = :name
