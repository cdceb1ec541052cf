select 1 from attempt where job_id = :job and started_at is not null and ended_at is not null limit 1
