-- What is known about an attempt in a sandbox, as msgpack.
alter table attempt add column details bytea;

-- On whose behalf a job may call back; only for jobs that are given a token.
create table job_caller (
  job_id bigint primary key, user_groups text not null, email text not null
);

-- What people ran inside running jobs.
create table job_command (
  job_id bigint not null, number bigint not null, at double precision not null, words text not null,
  primary key (job_id, number)
);
