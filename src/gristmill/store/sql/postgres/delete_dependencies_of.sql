delete from dependency where job_id = any(:ids)
