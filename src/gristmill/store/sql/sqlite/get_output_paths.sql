select path from output where path is not null and job_id in (select value from json_each(:ids))
