delete from project_group where project_id = :project_id
