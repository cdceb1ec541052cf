select number, rank, agent_id, started_at, ended_at, exit_code, reason, message, pid, cwd, peak_memory, cpu_seconds, tasks, details from attempt where job_id = :job order by number, rank
