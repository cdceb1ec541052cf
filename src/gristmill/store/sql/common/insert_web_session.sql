insert into web_session (handle_hash, site, user_name, sealed_proof, began_at, ends_at)
values (:handle_hash, :site, :user_name, :sealed_proof, :began_at, :ends_at)
