delete from data_task where id = :id
