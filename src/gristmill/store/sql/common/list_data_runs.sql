select stamp, status, message, path, job_id, started_at, ended_at from data_run where object_id = :object order by stamp
