delete from token where id = :id returning id
