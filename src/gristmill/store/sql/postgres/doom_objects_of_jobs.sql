insert into doomed_blob (blob) select blob from object where job_id = any(:ids)
