select id from kill_request where run_id = :run_id and executed_at is not null limit 1
