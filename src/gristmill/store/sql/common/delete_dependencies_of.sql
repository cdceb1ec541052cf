delete from dependency where job_id = :job
