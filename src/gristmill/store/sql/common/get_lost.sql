select id from job where agent_id = :agent and state = 6
