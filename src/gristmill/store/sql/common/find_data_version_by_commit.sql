select number, commit_id, path, size, action, job_id, sources, created_at from data_version where object_id = :object and commit_id = :commit
