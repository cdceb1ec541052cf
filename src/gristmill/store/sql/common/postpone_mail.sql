update mail set due_at = ?, tries = tries + 1 where id = ?
