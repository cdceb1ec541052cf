delete from job_alias where job_id in (select value from json_each(:ids))
