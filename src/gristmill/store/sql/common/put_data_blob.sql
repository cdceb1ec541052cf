insert into data_blob (path, dead, since, task) values (:path, :dead, :now, :task)
on conflict (path) do update set dead = excluded.dead, since = excluded.since, task = excluded.task
