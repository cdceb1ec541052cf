insert into key_value (owner, key, value) values (:owner, :key, :value) on conflict (owner, key) do update set value = excluded.value
