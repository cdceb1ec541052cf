insert into data_object (owner_id, bucket, kind, name, hidden, format, version, manifest, job_id, created_at, modified_at)
values (:owner, :bucket, :kind, :name, :hidden, :format, :version, :manifest, :job, :now, :now) returning id
