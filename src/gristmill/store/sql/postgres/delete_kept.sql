delete from kept where id = any(:ids)
