delete from idempotency where at < :before
