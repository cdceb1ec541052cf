create table metric_source (
  id integer primary key autoincrement, owner_id integer not null, name text not null,
  created_at real not null,
  unique (owner_id, name)
);
create index metric_source_name on metric_source (name);

create table metric_series (
  id integer primary key autoincrement, source_id integer not null, name text not null,
  unique (source_id, name)
);

create table metric_tail (
  id integer primary key autoincrement,
  series_id integer not null, at integer not null,
  value text not null, metadata text not null, cumulative integer not null
);
create index metric_tail_series on metric_tail (series_id, at, id);

create table metric_chunk (
  id integer primary key autoincrement,
  series_id integer not null, first_at integer not null, last_at integer not null,
  points integer not null, in_numbers integer not null, total real,
  times blob not null, numbers blob, texts blob, extras blob
);
create index metric_chunk_series
  on metric_chunk (series_id, first_at, last_at, id, points, in_numbers, total);
