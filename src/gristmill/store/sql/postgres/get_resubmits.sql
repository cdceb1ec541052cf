select id, resubmits from job where id = any(:ids)
