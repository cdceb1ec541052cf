select job_id, number, agent_id, started_at, ended_at, pid, cwd, peak_memory, cpu_seconds, exit_code, reason, message from attempt where rank = 0 and job_id = any(:ids) order by job_id, number
