update worker set api_key = null where id = :id
