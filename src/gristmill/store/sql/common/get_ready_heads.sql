select id, priority from job where shape_id = :shape and state = 3 and parked = 0 order by priority desc, id limit 1
