select run_id, schedule_id, attempt, content from run_log where run_id = any(:ids)
