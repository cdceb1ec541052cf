insert into kill_request (run_id, schedule_id, created_at)
values (:run, :schedule, :at)
returning id
