update pool
set name = :name, description = :description, notify = :notify, enabled = :enabled, agents = :agents
where id = :id
