update worker set since = :since where id = :id
