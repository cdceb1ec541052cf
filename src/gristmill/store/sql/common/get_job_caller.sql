select user_groups, email from job_caller where job_id = :job
