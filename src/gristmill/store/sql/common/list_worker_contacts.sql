select id, api_key, enabled, answered_at, version, slots, since
from worker
order by id
