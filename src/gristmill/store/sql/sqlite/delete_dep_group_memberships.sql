delete from dep_group_member where job_id in (select value from json_each(:ids))
