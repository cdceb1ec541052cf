insert into usage_day (owner_id, day, project_id, jobs, wall_seconds, cpu_seconds) values (?, ?, ?, ?, ?, ?)
on conflict (owner_id, day, project_id) do update set jobs = usage_day.jobs + excluded.jobs, wall_seconds = usage_day.wall_seconds + excluded.wall_seconds, cpu_seconds = usage_day.cpu_seconds + excluded.cpu_seconds
