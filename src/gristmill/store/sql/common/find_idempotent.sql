select job_ids from idempotency where owner_id = :owner and key = :key
