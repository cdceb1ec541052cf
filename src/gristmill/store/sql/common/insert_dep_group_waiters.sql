insert into dep_group_waiter (group_id, job_id) values (?, ?)
