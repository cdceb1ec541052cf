update agent set state = :state, last_seen_at = :at where id = :agent
