select id, name, description, enabled, answered_at, version, slots, since, sealed_secret
from worker
where id = :id
