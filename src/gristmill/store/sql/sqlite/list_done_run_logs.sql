select run_log.run_id, run_log.schedule_id, run_log.attempt, run_log.content
from run
join run_log on run_log.run_id = run.job_id
where run.phase = 3 and +run.schedule_id in (select value from json_each(:ids))
order by run.returned_at, run.started_at, run.enqueued_at, run.due_at desc, run.job_id desc
limit :most offset :skip
