select path from output where job_id = :job and path is not null
