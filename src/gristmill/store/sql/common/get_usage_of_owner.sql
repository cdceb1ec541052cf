select owner_id, project_id, sum(jobs), sum(wall_seconds), sum(cpu_seconds) from usage_day where owner_id = :owner and day between :first and :last group by owner_id, project_id
