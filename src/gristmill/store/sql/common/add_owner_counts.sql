insert into owner_count (owner_id, dialect, state, n) values (?, ?, ?, ?) on conflict (owner_id, dialect, state) do update set n = owner_count.n + excluded.n
