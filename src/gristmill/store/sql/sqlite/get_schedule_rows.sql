select schedule.id, schedule.template_id, template.project_id, schedule.pool_id, schedule.parent_id,
  schedule.name, schedule.description, schedule.script, schedule.every_count, schedule.every_unit,
  schedule.cron, schedule.timezone, schedule.jitter, schedule.catch_up, schedule.first_run,
  schedule.run_on_all_workers, schedule.run_children_on_error, schedule.disable_after_failures,
  schedule.notify, schedule.enabled, schedule.failures, schedule.last_completed_set,
  schedule.base_at, schedule.base_shift, schedule.stuck_at, schedule.runs_succeeded,
  schedule.runs_failed, schedule.runs_unjudged, schedule.logs, template.name, template.body,
  template.enabled, project.name, project.enabled, pool.name, pool.enabled, pool.agents
from schedule
join template on template.id = schedule.template_id
join project on project.id = template.project_id
join pool on pool.id = schedule.pool_id
where schedule.id in (select value from json_each(:ids))
