delete from job where id = any(:ids)
