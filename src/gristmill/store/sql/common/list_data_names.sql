select name from data_object where owner_id = :owner and bucket = :bucket and kind = :kind and hidden = 0 and name > :after order by name limit :limit
