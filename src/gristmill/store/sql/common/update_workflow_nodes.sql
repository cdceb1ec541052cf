update workflow_node set done = ?, failed = ?, waiting = ?, unmet = ? where id = ?
