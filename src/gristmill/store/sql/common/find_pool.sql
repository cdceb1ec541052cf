select name from pool where id = :id
