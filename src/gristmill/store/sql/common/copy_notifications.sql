insert into notification (job_id, address) select cast(? as bigint), email from job_caller where job_id = ? and email <> '' on conflict (job_id) do nothing
