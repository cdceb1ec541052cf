insert into job (id, state, bucket, shape_id, priority, group_id, owner_id, project_id, dialect, name, key, mutex_id, parked, unmet, retries_left, failures, attempt, cancel_requested, created_at, ready_at, queue_deadline, spec, dialect_data)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?)
