create table kept (
  owner_id bigint not null, id bigint not null, primary key (owner_id, id)
);
create index kept_by_id on kept (id);
create index job_by_owner_dialect on job (owner_id, dialect, bucket, id) where dialect >= 2;
create index job_by_end on job (owner_id, dialect, ended_at, id) where dialect >= 2 and bucket >= 7;
