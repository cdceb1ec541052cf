select id from job where state = 2 and ready_at <= :now order by ready_at limit :most
