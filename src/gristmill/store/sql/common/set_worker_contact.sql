update worker
set name = :name, description = :description, enabled = :enabled, answered_at = :answered_at,
  version = :version, slots = :slots, since = :since,
  sealed_secret = :sealed_secret
where id = :id
