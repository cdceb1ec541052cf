insert into schedule_exclude (schedule_id, position, start_time, end_time, note)
values (?, ?, ?, ?, ?)
