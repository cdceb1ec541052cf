select worker_id, count(*)
from run
where phase < 3 and worker_id is not null and enqueued_at is not null
group by worker_id
