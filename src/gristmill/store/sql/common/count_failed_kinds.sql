select exit_code, reason, count(*) from job where failures > 0 and state = :state and (:owner = 0 or owner_id = :owner) and (:dialect = -1 or dialect = :dialect) group by exit_code, reason
