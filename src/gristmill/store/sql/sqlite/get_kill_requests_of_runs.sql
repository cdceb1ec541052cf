select id, run_id, schedule_id, created_at, enqueued_at, executed_at
from kill_request
where executed_at is null and run_id in (select value from json_each(:ids))
order by id
