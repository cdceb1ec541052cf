delete from data_blob where path = :path
