delete from output where job_id in (select value from json_each(:ids))
