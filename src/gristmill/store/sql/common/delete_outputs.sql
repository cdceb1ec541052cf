delete from output where job_id = :job
