delete from data_tag where object_id = :object
