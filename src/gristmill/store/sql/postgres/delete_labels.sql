delete from job_label where job_id = any(:ids)
