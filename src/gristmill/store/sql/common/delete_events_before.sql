delete from event where id in (
  select id from (select id, at from event order by id limit :most) as oldest where at < :before
)
returning id
