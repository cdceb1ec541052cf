select id from job where dialect = :dialect and dialect <> 0 and bucket = :bucket and state = :state and failures = 0 and (:owner = 0 or owner_id = :owner) order by id limit :most
