update template
set name = :name, description = :description, body = :body, notify = :notify, enabled = :enabled
where id = :id
