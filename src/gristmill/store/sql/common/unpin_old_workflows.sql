update workflow set pinned = 0 where pinned = 1 and ended_at < :before
