select distinct bucket from data_count where owner_id = :owner and objects > 0 order by bucket
