insert into attempt (job_id, number, rank, agent_id, started_at, ended_at, exit_code, reason, message, pid, cwd, peak_memory, cpu_seconds, tasks, details)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (job_id, number, rank) do update set started_at = excluded.started_at, ended_at = excluded.ended_at, exit_code = excluded.exit_code, reason = excluded.reason, message = excluded.message, pid = excluded.pid, cwd = excluded.cwd, peak_memory = excluded.peak_memory, cpu_seconds = excluded.cpu_seconds, tasks = excluded.tasks, details = excluded.details
