insert into job_label (key, value, job_id) values (?, ?, ?)
