insert into job_label (key, value, job_id) select key, value, cast(? as bigint) from job_label where job_id = ?
