insert into group_count (group_id, owner_id, dialect, state, n) values (?, ?, ?, ?, ?) on conflict (group_id, owner_id, dialect, state) do update set n = group_count.n + excluded.n
