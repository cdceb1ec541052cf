select count(*) from kill_request where schedule_id = any(:ids)
