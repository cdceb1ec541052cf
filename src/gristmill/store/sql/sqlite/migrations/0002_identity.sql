create table token (
  id text primary key,
  kind text not null,
  user_name text not null,
  group_names text not null,
  scopes text not null,
  email text not null,
  key_hash text unique,
  created_at real not null,
  expires_at real
);
create index token_by_expiry on token (expires_at);

create table user_group (
  id integer primary key autoincrement,
  name text not null unique,
  applied boolean not null
);

create table account (
  id integer primary key autoincrement,
  name text not null unique,
  password_hash text,
  email text,
  admin boolean not null,
  enabled boolean not null,
  applied boolean not null
);

create table membership (
  account_id integer not null references account (id),
  group_id integer not null references user_group (id),
  primary key (account_id, group_id)
);
create index membership_by_group on membership (group_id);

create table pool (
  id integer primary key autoincrement,
  name text not null unique,
  description text not null,
  notify text not null,
  enabled boolean not null,
  agents boolean not null,
  applied boolean not null
);

create table worker (
  id integer primary key autoincrement,
  name text not null unique,
  api_key text unique,
  sealed_secret blob,
  description text not null,
  enabled boolean not null,
  applied boolean not null
);

create table worker_pool (
  worker_id integer not null references worker (id),
  pool_id integer not null references pool (id),
  primary key (worker_id, pool_id)
);
create index worker_pool_by_pool on worker_pool (pool_id);

create table project (
  id integer primary key autoincrement,
  name text not null unique,
  description text not null,
  notify text not null,
  enabled boolean not null,
  applied boolean not null
);

create table project_group (
  project_id integer not null references project (id),
  role text not null check (role in ('viewer', 'operator')),
  group_id integer not null references user_group (id),
  primary key (project_id, role, group_id)
);
create index project_group_by_group on project_group (group_id);

create table project_pool (
  project_id integer not null references project (id),
  pool_id integer not null references pool (id),
  primary key (project_id, pool_id)
);
create index project_pool_by_pool on project_pool (pool_id);

create table template (
  id integer primary key autoincrement,
  project_id integer not null references project (id),
  name text not null,
  description text not null,
  body text not null,
  notify text not null,
  enabled boolean not null,
  applied boolean not null,
  unique (project_id, name)
);

create table schedule (
  id integer primary key autoincrement,
  template_id integer not null references template (id),
  pool_id integer not null references pool (id),
  parent_id integer references schedule (id),
  name text not null,
  description text not null,
  script text not null,
  every_count integer,
  every_unit text check (every_unit in ('minute', 'hour', 'day', 'month')),
  cron text,
  first_run real,
  run_on_all_workers boolean not null,
  run_children_on_error boolean not null,
  disable_after_failures integer,
  notify text not null,
  enabled boolean not null,
  applied boolean not null,
  unique (template_id, name)
);
create index schedule_by_pool on schedule (pool_id);
create index schedule_by_parent on schedule (parent_id);

create table schedule_exclude (
  schedule_id integer not null references schedule (id),
  position integer not null,
  start_time text not null,
  end_time text not null,
  note text not null,
  primary key (schedule_id, position)
);
