delete from gang_member where job_id in (select value from json_each(:ids))
