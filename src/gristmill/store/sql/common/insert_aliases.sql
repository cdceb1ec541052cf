insert into job_alias (group_id, job_id) values (?, ?) on conflict do nothing
