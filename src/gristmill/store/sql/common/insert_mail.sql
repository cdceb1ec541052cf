insert into mail (recipients, subject, body, created_at, due_at, tries) values (?, ?, ?, ?, ?, 0)
