select tag, number from data_tag where object_id = :object order by tag
