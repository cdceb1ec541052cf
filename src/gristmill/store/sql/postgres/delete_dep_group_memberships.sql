delete from dep_group_member where job_id = any(:ids)
