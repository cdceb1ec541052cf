select job_id from job_label where key = :label and value = :value and job_id > :cursor order by job_id limit :most
