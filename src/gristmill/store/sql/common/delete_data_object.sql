delete from data_object where id = :id
