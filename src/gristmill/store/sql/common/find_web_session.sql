select user_name, sealed_proof, began_at, ends_at from web_session where handle_hash = :handle_hash
