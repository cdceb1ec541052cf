update workflow set state = ?, started_at = ?, ended_at = ?, done = ?, failed = ?, waiting = ?, reruns_left = ? where id = ?
