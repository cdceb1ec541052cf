create table web_session (
  handle_hash text primary key,
  site text not null, user_name text not null,
  sealed_proof blob not null,
  began_at real not null, ends_at real not null
) without rowid;
create index web_session_by_end on web_session (ends_at);
create index web_session_by_user on web_session (site, user_name, ends_at);
