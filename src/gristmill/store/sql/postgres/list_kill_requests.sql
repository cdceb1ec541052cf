select id, run_id, schedule_id, created_at, enqueued_at, executed_at
from kill_request
where schedule_id = any(:ids)
order by id
limit :most offset :skip
