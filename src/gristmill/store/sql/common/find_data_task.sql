select id, job_id, bucket, kind, target, object_id, effect, note, state, message, refused, created_at, ended_at from data_task where id = :id and owner_id = :owner
