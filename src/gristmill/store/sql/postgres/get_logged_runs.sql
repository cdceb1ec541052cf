select run_id from run_log where run_id = any(:ids)
