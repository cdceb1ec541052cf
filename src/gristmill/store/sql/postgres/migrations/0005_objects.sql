create table object (
  space text collate "C" not null, name text collate "C" not null,
  blob text not null unique,
  size bigint not null, sha256 text not null, modified_at double precision not null,
  job_id bigint,
  primary key (space, name)
);
create index object_of_job on object (job_id) where job_id is not null;

create table doomed_blob (blob text primary key);

create table key_value (
  owner text collate "C" not null, key text collate "C" not null, value bytea not null,
  primary key (owner, key)
);

create table usage_day (
  owner_id bigint not null, day bigint not null, project_id bigint not null,
  jobs bigint not null, wall_seconds double precision not null, cpu_seconds double precision not null,
  primary key (owner_id, day, project_id)
);
create index usage_of_project on usage_day (project_id, day);
create index usage_of_day on usage_day (day);

create table notification (job_id bigint primary key, address text not null);

create table mail (
  id bigint generated always as identity primary key,
  recipients text not null, subject text not null, body text not null,
  created_at double precision not null, due_at double precision not null, tries bigint not null
);
create index mail_by_due on mail (due_at);

create table device_login (
  device_hash text primary key,
  user_code text not null unique,
  expires_at double precision not null,
  user_name text, group_names text, email text
);
create index device_login_by_expiry on device_login (expires_at);
