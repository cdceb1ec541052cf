insert into kept (owner_id, id) values (?, ?)
