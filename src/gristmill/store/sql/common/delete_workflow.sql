delete from workflow where id = :workflow
