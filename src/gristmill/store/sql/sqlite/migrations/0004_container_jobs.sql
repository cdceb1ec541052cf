-- What is known about an attempt in a sandbox, as msgpack.
alter table attempt add column details blob;

-- On whose behalf a job may call back; only for jobs that are given a token.
create table job_caller (
  job_id integer primary key, user_groups text not null, email text not null
);

-- What people ran inside running jobs.
create table job_command (
  job_id integer not null, number integer not null, at real not null, words text not null,
  primary key (job_id, number)
) without rowid;
