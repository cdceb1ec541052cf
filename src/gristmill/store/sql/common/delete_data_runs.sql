delete from data_run where object_id = :object
