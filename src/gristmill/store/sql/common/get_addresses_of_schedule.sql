select schedule.notify, template.notify, project.notify, pool.notify
from schedule
join template on template.id = schedule.template_id
join project on project.id = template.project_id
join pool on pool.id = schedule.pool_id
where schedule.id = :id
