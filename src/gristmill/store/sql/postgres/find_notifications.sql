select job_id, address from notification where job_id = any(:ids)
