delete from kept where id in (select value from json_each(:ids))
