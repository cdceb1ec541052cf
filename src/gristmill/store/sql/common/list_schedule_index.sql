select schedule.id, schedule.name, schedule.template_id, template.project_id, schedule.pool_id,
  schedule.parent_id, project.name, template.name
from schedule
join template on template.id = schedule.template_id
join project on project.id = template.project_id
