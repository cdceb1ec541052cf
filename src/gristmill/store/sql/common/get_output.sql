select size, data, path from output where job_id = :job and attempt = :attempt and rank = :rank and stream = :stream
