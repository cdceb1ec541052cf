insert into data_task (id, job_id, owner_id, bucket, kind, target, object_id, effect, note, state, message, refused, created_at)
values (:id, :job, :owner, :bucket, :kind, :target, :object, :effect, :note, null, '', 0, :now)
