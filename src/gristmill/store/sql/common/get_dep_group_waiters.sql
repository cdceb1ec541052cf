select job_id from dep_group_waiter where group_id = :group
