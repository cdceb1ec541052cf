update data_blob set dead = 1, since = :now where dead = 0 and not exists (select 1 from data_task where data_task.id = data_blob.task and data_task.state is null)
