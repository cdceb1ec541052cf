select schedule.id, schedule.applied, project.name, schedule.name, template.name, pool.name,
  schedule.description, schedule.script, schedule.every_count, schedule.every_unit, schedule.cron,
  schedule.timezone, schedule.jitter, schedule.catch_up,
  schedule.first_run, schedule.parent_id, schedule.run_on_all_workers,
  schedule.run_children_on_error, schedule.disable_after_failures, schedule.notify,
  schedule.enabled
from schedule
join template on template.id = schedule.template_id
join project on project.id = template.project_id
join pool on pool.id = schedule.pool_id
order by project.name, schedule.name, template.name
