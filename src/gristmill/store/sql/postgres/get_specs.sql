select id, spec from job where id = any(:ids)
