insert into workflow_node (id, workflow_id, name, queue_timeout, total, done, failed, waiting, unmet, factory, dialect_data) values (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)
