select owner_id, project_id, sum(jobs), sum(wall_seconds), sum(cpu_seconds) from usage_day where day between :first and :last group by owner_id, project_id
