select schedule_id, start_time, end_time, note from schedule_exclude order by schedule_id, position
