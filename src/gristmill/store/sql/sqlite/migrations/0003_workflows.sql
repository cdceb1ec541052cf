alter table job add column workflow_id integer;
alter table job add column node_id integer;
alter table job add column instance integer;
alter table job add column resubmits integer;
alter table job add column superseded_by integer;
create index job_by_workflow on job (workflow_id, bucket, id) where workflow_id is not null;
create index job_by_node on job (node_id, instance, id) where node_id is not null;

insert into sequence values ('workflow_node', 0);

create table workflow (
  id integer primary key,
  state integer not null,
  owner_id integer not null,
  dialect integer not null,
  name text not null,
  rerun_of integer,
  pinned integer not null,
  created_at real not null,
  started_at real,
  ended_at real,
  total integer not null, done integer not null, failed integer not null, waiting integer not null,
  retries integer not null, reruns_left integer not null,
  spec blob not null,
  dialect_data blob
);
create index workflow_by_owner on workflow (owner_id, id);
create index workflow_by_name on workflow (name, id);
create index workflow_active on workflow (owner_id, id) where ended_at is null or pinned = 1;
create index workflow_ended on workflow (owner_id, ended_at, id) where ended_at is not null;
create index workflow_all_ended on workflow (ended_at, id) where ended_at is not null;

create table workflow_label (
  key text not null, value text not null, workflow_id integer not null,
  primary key (key, value, workflow_id)
) without rowid;
create index workflow_label_workflow on workflow_label (workflow_id);

create table workflow_node (
  id integer primary key,
  workflow_id integer not null,
  name text not null,
  factory blob,
  dialect_data blob,
  queue_timeout real,
  total integer not null, done integer not null, failed integer not null, waiting integer not null,
  unmet integer not null
);
create unique index workflow_node_name on workflow_node (workflow_id, name);

create table workflow_edge (
  parent_id integer not null, child_id integer not null, primary key (parent_id, child_id)
) without rowid;
create index workflow_edge_child on workflow_edge (child_id);
