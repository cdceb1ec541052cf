select template.id from template join project on project.id = template.project_id where project.name = :project and template.name = :template
