insert into job_caller (job_id, user_groups, email) select cast(? as bigint), user_groups, email from job_caller where job_id = ?
