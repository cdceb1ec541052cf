delete from dep_group_waiter where job_id = any(:ids)
