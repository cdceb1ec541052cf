select id from schedule where logs > 0 order by id
