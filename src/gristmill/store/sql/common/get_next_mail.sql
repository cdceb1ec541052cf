select due_at from mail order by due_at limit 1
