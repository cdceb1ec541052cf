delete from run_log where schedule_id = :schedule
