delete from kept where owner_id = :owner and id = :id returning id
