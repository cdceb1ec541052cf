delete from job_caller where job_id = any(:ids)
