insert into project (name, description, notify, enabled, applied)
values (:name, :description, :notify, :enabled, :applied)
returning id
