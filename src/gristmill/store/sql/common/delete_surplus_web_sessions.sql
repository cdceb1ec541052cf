delete from web_session where handle_hash in (
  select handle_hash from web_session where site = :site and user_name = :user_name
  order by ends_at desc limit 100 offset :most
)
