select id from job where agent_id = :agent and state in (4, 5, 6)
