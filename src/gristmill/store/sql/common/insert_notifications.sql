insert into notification (job_id, address) values (?, ?) on conflict (job_id) do nothing
