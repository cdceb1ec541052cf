select 1 from object where blob = :blob
