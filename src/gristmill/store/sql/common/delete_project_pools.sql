delete from project_pool where project_id = :project_id
