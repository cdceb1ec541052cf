delete from worker_pool where worker_id = :worker_id
