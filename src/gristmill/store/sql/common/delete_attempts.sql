delete from attempt where job_id = :job
