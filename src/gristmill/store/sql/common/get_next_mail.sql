select min(due_at) from mail
