delete from notification where job_id = ?
