insert into object (space, name, blob, size, sha256, modified_at, job_id)
values (:space, :name, :blob, :size, :sha256, :modified_at, :job)
on conflict (space, name) do update set blob = excluded.blob, size = excluded.size, sha256 = excluded.sha256, modified_at = excluded.modified_at, job_id = excluded.job_id
