select job_id from job_alias where group_id = :group and job_id < :cursor order by job_id desc limit :most
