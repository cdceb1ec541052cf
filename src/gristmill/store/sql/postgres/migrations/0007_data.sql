create table data_object (
  id bigint generated always as identity primary key,
  owner_id bigint not null references word (id),
  bucket text not null,
  kind text not null check (kind in ('dataset', 'model', 'notebook', 'script')),
  name text not null,
  hidden bigint not null,
  format text not null,
  version bigint not null,
  manifest bytea not null,
  job_id bigint,
  created_at double precision not null,
  modified_at double precision not null,
  unique (owner_id, bucket, kind, name)
);
create index data_object_by_name on data_object (owner_id, bucket, kind, name) where hidden = 0;

create table data_count (
  owner_id bigint not null,
  bucket text not null,
  kind text not null,
  objects bigint not null,
  primary key (owner_id, bucket, kind)
);

create table data_version (
  object_id bigint not null references data_object (id),
  number bigint not null,
  commit_id text not null,
  path text not null,
  size bigint not null,
  action text not null,
  job_id bigint,
  sources bytea not null,
  created_at double precision not null,
  primary key (object_id, number),
  unique (object_id, commit_id)
);

create table data_tag (
  object_id bigint not null references data_object (id),
  tag text not null,
  number bigint not null,
  primary key (object_id, tag)
);

create table data_run (
  object_id bigint not null references data_object (id),
  stamp bigint not null,
  status text not null check (status in ('OK', 'ERROR')),
  message text not null,
  path text not null,
  job_id bigint,
  started_at double precision not null,
  ended_at double precision not null,
  primary key (object_id, stamp)
);

create table data_task (
  id text primary key,
  job_id bigint not null unique,
  owner_id bigint not null,
  bucket text not null,
  kind text not null,
  target text not null,
  object_id bigint,
  effect bytea not null,
  note bytea not null,
  state bigint,
  message text not null,
  refused bigint not null,
  created_at double precision not null,
  ended_at double precision
);
create index data_task_open on data_task (created_at) where state is null;
create index data_task_ended on data_task (ended_at) where ended_at is not null;

create table data_blob (
  path text primary key,
  dead bigint not null,
  since double precision not null,
  task text
);
create index data_blob_by_age on data_blob (dead, since);
