delete from gang_member where job_id = any(:ids)
