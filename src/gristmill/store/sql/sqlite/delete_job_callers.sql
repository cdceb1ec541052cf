delete from job_caller where job_id in (select value from json_each(:ids))
