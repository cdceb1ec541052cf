update data_task set state = :state, message = :message, refused = :refused, ended_at = :now where id = :id
