update job set superseded_by = ? where id = ?
