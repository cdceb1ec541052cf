select worker_pool.worker_id, pool.name
from worker_pool join pool on pool.id = worker_pool.pool_id
order by pool.name
