select id, last_completed_set from schedule where last_completed_set is not null and id = any(:ids)
