select job_id, group_id from dep_group_member where job_id = any(:ids)
