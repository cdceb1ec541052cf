insert into template (project_id, name, description, body, notify, enabled, applied)
values (:project_id, :name, :description, :body, :notify, :enabled, :applied)
returning id
