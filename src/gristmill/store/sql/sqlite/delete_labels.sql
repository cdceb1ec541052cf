delete from job_label where job_id in (select value from json_each(:ids))
