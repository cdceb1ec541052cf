update project
set name = :name, description = :description, notify = :notify, enabled = :enabled
where id = :id
