select owner_id, project_id, sum(jobs), sum(wall_seconds), sum(cpu_seconds) from usage_day where project_id = :project and day between :first and :last group by owner_id, project_id
