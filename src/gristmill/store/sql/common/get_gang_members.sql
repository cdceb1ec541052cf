select rank, agent_id, finished from gang_member where job_id = :job and attempt = :attempt order by rank
