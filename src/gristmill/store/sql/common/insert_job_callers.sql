insert into job_caller (job_id, user_groups, email) values (?, ?, ?)
