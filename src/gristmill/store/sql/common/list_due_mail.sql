select id, recipients, subject, body, created_at, tries from mail where due_at <= :now order by due_at limit :most
