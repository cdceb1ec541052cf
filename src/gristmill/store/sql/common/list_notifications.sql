select job_id, address from notification where job_id > :after order by job_id limit :most
