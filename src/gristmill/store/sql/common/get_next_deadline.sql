select min(queue_deadline) from job where queue_deadline is not null and state <= 3
