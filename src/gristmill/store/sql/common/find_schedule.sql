select id from schedule where template_id = :template_id and name = :name
