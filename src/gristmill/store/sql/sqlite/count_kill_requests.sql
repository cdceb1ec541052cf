select count(*) from kill_request where schedule_id in (select value from json_each(:ids))
