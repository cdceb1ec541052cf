update data_object set format = :format, version = :version, manifest = :manifest, job_id = :job, modified_at = :now where id = :id returning id
