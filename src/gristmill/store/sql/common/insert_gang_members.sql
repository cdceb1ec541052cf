insert into gang_member (job_id, attempt, rank, agent_id, finished) values (?, ?, ?, ?, 0)
