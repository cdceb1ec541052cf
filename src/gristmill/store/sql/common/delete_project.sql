delete from project where id = :id
