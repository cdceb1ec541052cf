insert into event (at, kind, jobs, data) values (?, ?, ?, ?)
