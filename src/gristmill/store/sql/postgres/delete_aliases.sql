delete from job_alias where job_id = any(:ids)
