insert into doomed_blob (blob) values (?) on conflict (blob) do nothing
