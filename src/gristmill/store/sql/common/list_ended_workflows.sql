select id, ended_at from workflow where owner_id = :owner and ended_at is not null and (ended_at, id) < (:at, :cursor) order by ended_at desc, id desc limit :most
