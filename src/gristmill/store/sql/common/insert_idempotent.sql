insert into idempotency (owner_id, key, job_ids, at) values (?, ?, ?, ?)
