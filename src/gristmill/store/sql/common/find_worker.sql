select id from worker where name = :name
