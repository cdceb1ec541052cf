delete from dep_group_waiter where job_id in (select value from json_each(:ids))
