select id from pool where name = :name
