select run_log.run_id
from run_log
join run on run.job_id = run_log.run_id
where run_log.schedule_id = :schedule and run.phase = 3
order by run_log.run_id
limit :most
