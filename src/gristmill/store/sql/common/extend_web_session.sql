update web_session set ends_at = :ends_at where handle_hash = :handle_hash and ends_at < :ends_at
