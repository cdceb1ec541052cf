select id, run_id, schedule_id, created_at, enqueued_at, executed_at from kill_request where id in (select value from json_each(:ids))
