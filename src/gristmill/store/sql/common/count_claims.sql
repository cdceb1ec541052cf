select worker_id, count(*) from run where phase in (1, 2) and worker_id is not null group by worker_id
