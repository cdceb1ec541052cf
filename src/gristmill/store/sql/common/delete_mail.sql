delete from mail where id = ?
