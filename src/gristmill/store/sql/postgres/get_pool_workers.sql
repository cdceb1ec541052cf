select worker_pool.pool_id, worker.id, worker.enabled
from worker_pool
join worker on worker.id = worker_pool.worker_id
where worker_pool.pool_id = any(:ids)
order by worker.id
