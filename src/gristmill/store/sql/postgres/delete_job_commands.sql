delete from job_command where job_id = any(:ids)
