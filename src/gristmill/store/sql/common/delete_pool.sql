delete from pool where id = :id
