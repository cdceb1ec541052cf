select id from job where mutex_id = :mutex and parked = 1 order by priority desc, id limit 1
