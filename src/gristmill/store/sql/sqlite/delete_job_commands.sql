delete from job_command where job_id in (select value from json_each(:ids))
