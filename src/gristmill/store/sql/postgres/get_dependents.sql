select d.on_job_id, d.job_id from dependency d where d.on_job_id = any(:ids)
