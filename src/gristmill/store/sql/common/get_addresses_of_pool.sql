select name, notify from pool where id = :id
