delete from user_group where id = :id
