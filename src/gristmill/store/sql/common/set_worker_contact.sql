update worker
set name = :name, description = :description, enabled = :enabled, answered_at = :answered_at,
  version = :version, slots = :slots, since = :since
where id = :id
