delete from template where id = :id
