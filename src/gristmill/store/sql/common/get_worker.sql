select id, name, description, enabled, answered_at, version, slots, since
from worker
where id = :id
