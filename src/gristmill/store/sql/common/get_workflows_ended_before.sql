select id from workflow where ended_at < :before order by ended_at limit :most
