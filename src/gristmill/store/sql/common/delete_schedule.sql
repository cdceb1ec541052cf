delete from schedule where id = :id
