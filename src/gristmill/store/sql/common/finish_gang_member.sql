update gang_member set finished = 1 where job_id = :job and attempt = :attempt and rank = :rank and finished = 0 returning rank
