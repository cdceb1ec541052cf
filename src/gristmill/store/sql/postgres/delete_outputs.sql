delete from output where job_id = any(:ids)
