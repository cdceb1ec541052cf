select value from sequence where name = :name
