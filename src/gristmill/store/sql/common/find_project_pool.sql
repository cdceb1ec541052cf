select 1 from project_pool where project_id = :project_id and pool_id = :pool_id
