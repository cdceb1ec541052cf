insert into dep_group (id, live) values (:group, :change) on conflict (id) do update set live = dep_group.live + excluded.live returning live
