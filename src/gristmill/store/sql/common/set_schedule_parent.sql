update schedule set parent_id = :parent_id where id = :id
