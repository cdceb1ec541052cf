update data_task set effect = :effect where id = :id
