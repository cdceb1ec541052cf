select at, words from job_command where job_id = :job order by number
