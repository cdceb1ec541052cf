select job_id, address from notification where job_id in (select value from json_each(:ids))
