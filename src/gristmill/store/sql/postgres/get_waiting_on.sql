select d.on_job_id, d.job_id, d.ended_is_enough from dependency d where d.on_job_id = any(:ids)
