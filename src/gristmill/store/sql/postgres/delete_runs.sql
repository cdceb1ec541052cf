delete from run where job_id = any(:ids)
