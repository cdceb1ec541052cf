select id, applied, name from user_group order by name
