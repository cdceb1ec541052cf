select count(*) from (select 1 from device_login limit :most) as waiting
