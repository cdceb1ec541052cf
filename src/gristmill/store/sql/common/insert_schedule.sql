insert into schedule (
  template_id, pool_id, name, description, script, every_count, every_unit, cron,
  timezone, jitter, catch_up, first_run, run_on_all_workers, run_children_on_error, disable_after_failures, notify,
  enabled, applied
)
values (
  :template_id, :pool_id, :name, :description, :script, :every_count, :every_unit, :cron,
  :timezone, :jitter, :catch_up, :first_run, :run_on_all_workers, :run_children_on_error, :disable_after_failures,
  :notify, :enabled, :applied
)
returning id
