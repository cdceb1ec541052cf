insert into project_group (project_id, role, group_id) values (?, ?, ?)
