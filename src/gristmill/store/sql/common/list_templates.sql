select template.id, template.applied, project.name, template.name, template.description, template.body,
  template.notify, template.enabled
from template join project on project.id = template.project_id
order by project.name, template.name
