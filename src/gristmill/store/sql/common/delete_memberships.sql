delete from membership where account_id = :account_id
