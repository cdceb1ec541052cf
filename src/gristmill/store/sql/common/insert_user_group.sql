insert into user_group (name, applied) values (:name, :applied) returning id
