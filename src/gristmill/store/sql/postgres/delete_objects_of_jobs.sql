delete from object where job_id = any(:ids)
