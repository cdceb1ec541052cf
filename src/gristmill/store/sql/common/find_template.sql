select project_id from template where id = :id
