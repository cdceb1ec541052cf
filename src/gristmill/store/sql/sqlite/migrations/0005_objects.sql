create table object (
  space text not null, name text not null,
  blob text not null unique,
  size integer not null, sha256 text not null, modified_at real not null,
  job_id integer,
  primary key (space, name)
) without rowid;
create index object_of_job on object (job_id) where job_id is not null;

create table doomed_blob (blob text primary key) without rowid;

create table key_value (
  owner text not null, key text not null, value blob not null, primary key (owner, key)
) without rowid;

create table usage_day (
  owner_id integer not null, day integer not null, project_id integer not null,
  jobs integer not null, wall_seconds real not null, cpu_seconds real not null,
  primary key (owner_id, day, project_id)
) without rowid;
create index usage_of_project on usage_day (project_id, day);
create index usage_of_day on usage_day (day);

create table notification (job_id integer primary key, address text not null);

create table mail (
  id integer primary key autoincrement,
  recipients text not null, subject text not null, body text not null,
  created_at real not null, due_at real not null, tries integer not null
);
create index mail_by_due on mail (due_at);

create table device_login (
  device_hash text primary key,
  user_code text not null unique,
  expires_at real not null,
  user_name text, group_names text, email text
) without rowid;
create index device_login_by_expiry on device_login (expires_at);
