select distinct run_id from kill_request where enqueued_at is null and executed_at is null
