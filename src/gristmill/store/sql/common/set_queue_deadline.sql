update job set queue_deadline = :at where id = :job
