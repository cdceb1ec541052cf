select name from pool where agents = true order by name
