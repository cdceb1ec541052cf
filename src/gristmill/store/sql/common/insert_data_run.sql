insert into data_run (object_id, stamp, status, message, path, job_id, started_at, ended_at) values (:object, :stamp, :status, :message, :path, :job, :started, :ended)
