insert into data_version (object_id, number, commit_id, path, size, action, job_id, sources, created_at) values (:object, :number, :commit, :path, :size, :action, :job, :sources, :now)
