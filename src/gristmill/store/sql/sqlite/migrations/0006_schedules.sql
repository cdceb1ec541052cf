alter table schedule add column timezone text not null default '';
alter table schedule add column jitter real not null default 0;
alter table schedule add column catch_up text not null default 'one';
alter table schedule add column failures integer not null default 0;
alter table schedule add column last_completed_set integer;
alter table schedule add column base_at real;
alter table schedule add column base_shift real not null default 0;
alter table schedule add column stuck_at real;
alter table schedule add column runs_succeeded integer not null default 0;
alter table schedule add column runs_failed integer not null default 0;
alter table schedule add column runs_unjudged integer not null default 0;
alter table schedule add column logs integer not null default 0;

alter table worker add column answered_at real;
alter table worker add column version text;
alter table worker add column slots integer;
alter table worker add column since real;

alter table pool add column alarmed boolean not null default 0;

create table run (
  job_id integer primary key,
  schedule_id integer not null,
  set_id integer not null,
  phase integer not null,
  worker_id integer,
  due_at real not null,
  enqueued_at real,
  started_at real,
  returned_at real,
  success boolean,
  pid integer,
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
  run_id integer primary key,
  schedule_id integer not null,
  attempt integer,
  content blob
);
create index run_log_of on run_log (schedule_id, run_id);

create table kill_request (
  id integer primary key autoincrement,
  run_id integer not null,
  schedule_id integer not null,
  created_at real not null,
  enqueued_at real,
  executed_at real
);
create index kill_request_of on kill_request (schedule_id, id);
create index kill_request_of_run on kill_request (run_id);
create index kill_request_open on kill_request (run_id)
where enqueued_at is null and executed_at is null;
