select created_at from data_task where state is null order by created_at limit 1
