select attempt, rank, stream, size from output where job_id = :job
