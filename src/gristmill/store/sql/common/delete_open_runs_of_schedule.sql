delete from run where schedule_id = :schedule and phase < 3
