select m.job_id, x.job_id from dep_group_member m join dep_group_waiter x on x.group_id = m.group_id join job j on j.id = x.job_id where j.state not in (8, 9) and m.job_id = any(:ids)
