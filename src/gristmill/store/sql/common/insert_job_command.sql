insert into job_command (job_id, number, at, words) select :job, coalesce(max(number), 0) + 1, :at, :words from job_command where job_id = :job
