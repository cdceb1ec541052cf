insert into mutex (id, front) values (:mutex, :front) on conflict (id) do update set front = excluded.front
