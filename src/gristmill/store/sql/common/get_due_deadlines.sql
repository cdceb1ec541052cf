select id from job where queue_deadline is not null and state <= 3 and queue_deadline <= :now order by queue_deadline limit :most
