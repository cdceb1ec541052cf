alter table schedule add column timezone text not null default '';
alter table schedule add column jitter double precision not null default 0;
alter table schedule add column catch_up text not null default 'one';
alter table schedule add column failures bigint not null default 0;
alter table schedule add column last_completed_set bigint;
alter table schedule add column base_at double precision;
alter table schedule add column base_shift double precision not null default 0;
alter table schedule add column stuck_at double precision;
alter table schedule add column runs_succeeded bigint not null default 0;
alter table schedule add column runs_failed bigint not null default 0;
alter table schedule add column runs_unjudged bigint not null default 0;
alter table schedule add column logs bigint not null default 0;

alter table worker add column answered_at double precision;
alter table worker add column version text;
alter table worker add column slots bigint;
alter table worker add column since double precision;

alter table pool add column alarmed boolean not null default false;

create table run (
  job_id bigint primary key,
  schedule_id bigint not null,
  set_id bigint not null,
  phase bigint not null,
  worker_id bigint,
  due_at double precision not null,
  enqueued_at double precision,
  started_at double precision,
  returned_at double precision,
  success boolean,
  pid bigint,
  manual boolean not null,
  chains boolean not null,
  returns text not null
);
create index run_open on run (schedule_id, due_at, job_id) where phase < 3;
create index run_of_worker on run (worker_id, job_id) where phase < 3 and worker_id is not null;
create index run_of_set on run (set_id);
create index run_done on run (returned_at desc, started_at desc, enqueued_at desc, due_at, job_id)
where phase = 3;
create index run_done_of on run (
  schedule_id, returned_at desc, started_at desc, enqueued_at desc, due_at, job_id
) where phase = 3;

create table run_log (
  run_id bigint primary key,
  schedule_id bigint not null,
  attempt bigint,
  content bytea
);
create index run_log_of on run_log (schedule_id, run_id);

create table kill_request (
  id bigint generated always as identity primary key,
  run_id bigint not null,
  schedule_id bigint not null,
  created_at double precision not null,
  enqueued_at double precision,
  executed_at double precision
);
create index kill_request_of on kill_request (schedule_id, id);
create index kill_request_of_run on kill_request (run_id);
create index kill_request_open on kill_request (run_id)
where enqueued_at is null and executed_at is null;
