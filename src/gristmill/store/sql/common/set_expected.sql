update job set expected_memory = ?, expected_seconds = ?, expected_disk = ? where id = ?
