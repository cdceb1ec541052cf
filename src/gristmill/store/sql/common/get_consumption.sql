select sum(cpu_seconds), sum(ended_at - started_at), max(peak_memory), max(agent_id) from attempt where job_id = :job and ended_at is not null
