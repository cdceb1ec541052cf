insert into workflow_label (key, value, workflow_id) values (?, ?, ?)
