select job_id from data_task where state is null
