create table sequence (name text primary key, value integer not null) without rowid;
insert into sequence values ('job', 0);

create table shape (
  id integer primary key,
  cpu_shares integer not null, memory integer not null, disk integer not null,
  gpus integer not null, nodes integer not null, container integer not null,
  pool text not null, constraints text not null,
  bucket text not null, override integer not null, disk_given integer not null, seconds real not null,
  unique (
    cpu_shares, memory, disk, gpus, nodes, container, pool, constraints,
    bucket, override, disk_given, seconds
  )
);

create table learned (
  bucket text not null, resource integer not null, value integer not null,
  primary key (bucket, resource, value)
) without rowid;

create table word (id integer primary key, text text not null unique);
insert into word values (0, '');

create table job (
  id integer primary key,
  state integer not null,
  bucket integer not null,
  shape_id integer not null,
  priority integer not null,
  group_id integer not null,
  owner_id integer not null,
  project_id integer not null,
  dialect integer not null,
  name text,
  key text,
  mutex_id integer,
  parked integer not null,
  unmet integer not null,
  retries_left integer not null,
  failures integer not null,
  attempt integer not null,
  starts integer not null default 0,
  agent_id integer,
  cancel_requested integer not null,
  created_at real not null,
  ready_at real,
  queue_deadline real,
  started_at real,
  ended_at real,
  exit_code integer,
  reason text,
  expected_memory integer,
  expected_seconds real,
  expected_disk integer,
  spec blob not null,
  dialect_data blob
);
create index job_ready on job (shape_id, priority desc, id) where state = 3 and parked = 0;
create index job_parked on job (mutex_id, priority desc, id) where parked = 1;
create index job_delayed on job (ready_at) where state = 2;
create index job_deadline on job (queue_deadline) where queue_deadline is not null and state <= 3;
create index job_held on job (agent_id, id) where state in (4, 5, 6);
create index job_failed on job (state, group_id, exit_code, reason, id) where failures > 0;
create index job_by_bucket on job (bucket, id);
create index job_by_group on job (group_id, bucket, id) where group_id <> 0;
create index job_by_owner on job (owner_id, bucket, id);
create index job_by_dialect on job (dialect, bucket, id) where dialect <> 0;
create index job_by_name on job (name, id) where name is not null;
create index job_by_key on job (key, id) where key is not null;
create index job_ended on job (ended_at) where state in (8, 9);

create table job_label (
  key text not null, value text not null, job_id integer not null,
  primary key (key, value, job_id)
) without rowid;
create index job_label_job on job_label (job_id);

create table job_alias (
  group_id integer not null, job_id integer not null, primary key (group_id, job_id)
) without rowid;
create index job_alias_job on job_alias (job_id);

create table owner_count (
  owner_id integer not null, dialect integer not null, state integer not null, n integer not null,
  primary key (owner_id, dialect, state)
) without rowid;
create table group_count (
  group_id integer not null, owner_id integer not null, dialect integer not null, state integer not null,
  n integer not null,
  primary key (group_id, owner_id, dialect, state)
) without rowid;

create table dependency (
  on_job_id integer not null, job_id integer not null, ended_is_enough integer not null,
  primary key (on_job_id, job_id)
) without rowid;
create index dependency_job on dependency (job_id);

create table dep_group (id integer primary key, live integer not null);
create table dep_group_member (
  job_id integer not null, group_id integer not null, primary key (job_id, group_id)
) without rowid;
create table dep_group_waiter (
  group_id integer not null, job_id integer not null, primary key (group_id, job_id)
) without rowid;
create index dep_group_waiter_job on dep_group_waiter (job_id);

create table mutex (id integer primary key, front integer);

create table gang_member (
  job_id integer not null, attempt integer not null, rank integer not null,
  agent_id integer not null, finished integer not null,
  primary key (job_id, attempt, rank)
) without rowid;
create index gang_member_agent on gang_member (agent_id) where finished = 0;

create table attempt (
  job_id integer not null, number integer not null, rank integer not null,
  agent_id integer not null,
  started_at real, ended_at real,
  exit_code integer, reason text, message text, pid integer, cwd text,
  peak_memory integer, cpu_seconds real, tasks blob,
  primary key (job_id, number, rank)
) without rowid;

create table output (
  job_id integer not null, attempt integer not null, rank integer not null, stream integer not null,
  size integer not null, data blob, path text,
  primary key (job_id, attempt, rank, stream)
) without rowid;

create table event (
  id integer primary key autoincrement,
  at real not null, kind text not null, jobs text not null, data text
);

create table agent (
  id integer primary key,
  node text not null unique,
  instance text not null, hostname text not null, address text not null,
  boot_id text not null, pid integer not null, process_start real not null,
  shares_files integer not null,
  cpu_shares integer not null, memory integer not null, disk integer not null, gpus integer not null,
  labels text not null, pools text not null, runtimes text not null, notes text not null,
  state text not null, registered_at real not null, last_seen_at real not null
);

create table idempotency (
  owner_id integer not null, key text not null, job_ids text not null, at real not null,
  primary key (owner_id, key)
) without rowid;
create index idempotency_at on idempotency (at);
