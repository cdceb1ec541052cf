create table data_object (
  id integer primary key autoincrement,
  owner_id integer not null references word (id),
  bucket text not null,
  kind text not null check (kind in ('dataset', 'model', 'notebook', 'script')),
  name text not null,
  hidden integer not null,
  format text not null,
  version integer not null,
  manifest blob not null,
  job_id integer,
  created_at real not null,
  modified_at real not null,
  unique (owner_id, bucket, kind, name)
);
create index data_object_by_name on data_object (owner_id, bucket, kind, name) where hidden = 0;

create table data_count (
  owner_id integer not null,
  bucket text not null,
  kind text not null,
  objects integer not null,
  primary key (owner_id, bucket, kind)
);

create table data_version (
  object_id integer not null references data_object (id),
  number integer not null,
  commit_id text not null,
  path text not null,
  size integer not null,
  action text not null,
  job_id integer,
  sources blob not null,
  created_at real not null,
  primary key (object_id, number),
  unique (object_id, commit_id)
);

create table data_tag (
  object_id integer not null references data_object (id),
  tag text not null,
  number integer not null,
  primary key (object_id, tag)
);

create table data_run (
  object_id integer not null references data_object (id),
  stamp integer not null,
  status text not null check (status in ('OK', 'ERROR')),
  message text not null,
  path text not null,
  job_id integer,
  started_at real not null,
  ended_at real not null,
  primary key (object_id, stamp)
);

create table data_task (
  id text primary key,
  job_id integer not null unique,
  owner_id integer not null,
  bucket text not null,
  kind text not null,
  target text not null,
  object_id integer,
  effect blob not null,
  note blob not null,
  state integer,
  message text not null,
  refused integer not null,
  created_at real not null,
  ended_at real
);
create index data_task_open on data_task (created_at) where state is null;
create index data_task_ended on data_task (ended_at) where ended_at is not null;

create table data_blob (
  path text primary key,
  dead integer not null,
  since real not null,
  task text
);
create index data_blob_by_age on data_blob (dead, since);
