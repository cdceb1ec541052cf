insert into pool (name, description, notify, enabled, agents, applied)
values (:name, :description, :notify, :enabled, :agents, :applied)
returning id
