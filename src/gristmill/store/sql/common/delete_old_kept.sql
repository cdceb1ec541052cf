delete from kept where id in (
  select kept.id from kept join job on job.id = kept.id where job.bucket >= 7 and job.ended_at < :before
)
