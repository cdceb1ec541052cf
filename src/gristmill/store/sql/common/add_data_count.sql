insert into data_count (owner_id, bucket, kind, objects) values (:owner, :bucket, :kind, :change)
on conflict (owner_id, bucket, kind) do update set objects = data_count.objects + excluded.objects
