select d.on_job_id, j.state from dependency d join job j on j.id = d.on_job_id where d.job_id = :job order by d.on_job_id limit :most
