select job_id, schedule_id, set_id, phase, worker_id, due_at, enqueued_at, started_at, returned_at, success, pid, manual, chains, returns from run where set_id = any(:ids)
