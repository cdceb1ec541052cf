update workflow set pinned = 0 where id = :workflow
