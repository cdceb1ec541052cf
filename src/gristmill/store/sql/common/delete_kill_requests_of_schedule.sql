delete from kill_request where schedule_id = :schedule
