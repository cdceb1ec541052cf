select project_pool.project_id, pool.name
from project_pool join pool on pool.id = project_pool.pool_id
order by pool.name
