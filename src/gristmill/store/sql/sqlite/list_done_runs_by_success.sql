select job_id, schedule_id, set_id, phase, worker_id, due_at, enqueued_at, started_at, returned_at, success, pid, manual, chains, returns
from run
where phase = 3 and +schedule_id in (select value from json_each(:ids)) and success = :success
order by returned_at desc, started_at desc, enqueued_at desc, due_at, job_id
limit :most offset :skip
