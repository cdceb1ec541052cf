delete from kill_request where run_id in (select value from json_each(:ids))
