insert into learned (bucket, resource, value) values (?, ?, ?) on conflict do nothing
