insert into dep_group_member (job_id, group_id) values (?, ?)
