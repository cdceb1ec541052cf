select id from job where bucket = :bucket and state = :state and failures = 0 and (:owner = 0 or owner_id = :owner) and (:dialect = -1 or dialect = :dialect) order by id limit :most
