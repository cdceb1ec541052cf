delete from event where id in (select id from event where at < :before order by id limit :most)
