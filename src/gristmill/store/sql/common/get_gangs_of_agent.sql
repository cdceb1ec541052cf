select job_id, attempt, rank from gang_member where agent_id = :agent and finished = 0
