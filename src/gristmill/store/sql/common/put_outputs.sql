insert into output (job_id, attempt, rank, stream, size, data, path) values (?, ?, ?, ?, ?, ?, ?)
on conflict (job_id, attempt, rank, stream) do update set size = excluded.size, data = excluded.data, path = excluded.path
