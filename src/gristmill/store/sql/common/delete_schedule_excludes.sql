delete from schedule_exclude where schedule_id = :schedule_id
