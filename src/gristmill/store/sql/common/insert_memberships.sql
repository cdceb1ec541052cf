insert into membership (account_id, group_id) values (?, ?)
