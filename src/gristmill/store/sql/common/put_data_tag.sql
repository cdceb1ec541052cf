insert into data_tag (object_id, tag, number) values (:object, :tag, :number)
on conflict (object_id, tag) do update set number = excluded.number
