select id from job where state in (8, 9) and ended_at < :before order by ended_at limit :most
