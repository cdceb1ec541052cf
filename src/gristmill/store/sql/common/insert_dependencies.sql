insert into dependency (on_job_id, job_id, ended_is_enough) values (?, ?, ?)
