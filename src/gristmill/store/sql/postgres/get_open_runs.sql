select job_id, schedule_id, set_id, phase, worker_id, due_at, enqueued_at, started_at, returned_at, success, pid, manual, chains, returns from run where phase < 3 and schedule_id = any(:ids)
