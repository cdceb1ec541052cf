select pool_id, worker_id from worker_pool order by pool_id, worker_id
