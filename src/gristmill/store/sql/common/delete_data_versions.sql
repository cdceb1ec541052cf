delete from data_version where object_id = :object
