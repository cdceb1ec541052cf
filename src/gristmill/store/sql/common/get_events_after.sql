select id, at, kind, jobs, data from event where id > :after order by id limit :most
