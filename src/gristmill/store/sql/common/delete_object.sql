delete from object where space = :space and name = :name returning blob
