select parent_id, id, enabled from schedule where parent_id in (select value from json_each(:ids)) order by id
