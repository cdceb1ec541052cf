select path from output where path is not null and job_id = any(:ids)
