select id from data_task where ended_at < :before order by ended_at limit :limit
