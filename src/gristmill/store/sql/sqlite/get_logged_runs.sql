select run_id from run_log where run_id in (select value from json_each(:ids))
