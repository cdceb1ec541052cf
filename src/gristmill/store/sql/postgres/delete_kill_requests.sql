delete from kill_request where run_id = any(:ids)
