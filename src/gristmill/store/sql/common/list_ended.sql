select id, ended_at from job where owner_id = :owner and dialect = :dialect and dialect >= 2 and bucket >= 7 and (ended_at, id) < (:ended_at, :id) order by ended_at desc, id desc limit :most
