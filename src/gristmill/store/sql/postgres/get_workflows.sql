select id, state, owner_id, dialect, name, rerun_of, pinned, created_at, started_at, ended_at, total, done, failed, waiting, retries, reruns_left from workflow where id = any(:ids)
