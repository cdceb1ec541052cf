delete from dependency where on_job_id = ? and job_id = ?
