select parent_id, id, enabled from schedule where parent_id = any(:ids) order by id
