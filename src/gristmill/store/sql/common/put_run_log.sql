insert into run_log (run_id, schedule_id, attempt, content)
values (:run, :schedule, :attempt, :content)
on conflict (run_id) do update set attempt = excluded.attempt, content = excluded.content
