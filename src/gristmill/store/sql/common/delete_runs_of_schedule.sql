delete from run where schedule_id = :schedule
