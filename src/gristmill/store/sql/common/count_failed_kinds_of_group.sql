select exit_code, reason, count(*) from job where failures > 0 and state = :state and group_id = :group and (:owner = 0 or owner_id = :owner) group by exit_code, reason
