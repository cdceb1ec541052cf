delete from web_session where handle_hash = :handle_hash
