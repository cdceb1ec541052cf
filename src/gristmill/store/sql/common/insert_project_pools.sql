insert into project_pool (project_id, pool_id) values (?, ?)
