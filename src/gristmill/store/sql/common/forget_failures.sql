update schedule set failures = 0 where id = :id
