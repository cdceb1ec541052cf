alter table job add column workflow_id bigint;
alter table job add column node_id bigint;
alter table job add column instance bigint;
alter table job add column resubmits bigint;
alter table job add column superseded_by bigint;
create index job_by_workflow on job (workflow_id, bucket, id) where workflow_id is not null;
create index job_by_node on job (node_id, instance, id) where node_id is not null;

insert into sequence values ('workflow_node', 0);

create table workflow (
  id bigint primary key,
  state bigint not null,
  owner_id bigint not null,
  dialect bigint not null,
  name text not null,
  rerun_of bigint,
  pinned bigint not null,
  created_at double precision not null,
  started_at double precision,
  ended_at double precision,
  total bigint not null, done bigint not null, failed bigint not null, waiting bigint not null,
  retries bigint not null, reruns_left bigint not null,
  spec bytea not null,
  dialect_data bytea
);
create index workflow_by_owner on workflow (owner_id, id);
create index workflow_by_name on workflow (name, id);
create index workflow_active on workflow (owner_id, id) where ended_at is null or pinned = 1;
create index workflow_ended on workflow (owner_id, ended_at, id) where ended_at is not null;
create index workflow_all_ended on workflow (ended_at, id) where ended_at is not null;

create table workflow_label (
  key text not null, value text not null, workflow_id bigint not null,
  primary key (key, value, workflow_id)
);
create index workflow_label_workflow on workflow_label (workflow_id);

create table workflow_node (
  id bigint primary key,
  workflow_id bigint not null,
  name text not null,
  factory bytea,
  dialect_data bytea,
  queue_timeout double precision,
  total bigint not null, done bigint not null, failed bigint not null, waiting bigint not null,
  unmet bigint not null
);
create unique index workflow_node_name on workflow_node (workflow_id, name);

create table workflow_edge (
  parent_id bigint not null, child_id bigint not null, primary key (parent_id, child_id)
);
create index workflow_edge_child on workflow_edge (child_id);
