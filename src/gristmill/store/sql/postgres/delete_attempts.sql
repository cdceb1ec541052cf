delete from attempt where job_id = any(:ids)
