select w.group_id, w.job_id from dep_group_waiter w join job j on j.id = w.job_id where j.state <> 9 and w.group_id = any(:groups) limit :most
