insert into doomed_blob (blob) select blob from object where job_id in (select value from json_each(:ids))
