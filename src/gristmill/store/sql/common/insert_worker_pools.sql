insert into worker_pool (worker_id, pool_id) values (?, ?)
