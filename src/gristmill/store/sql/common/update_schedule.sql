update schedule
set template_id = :template_id, pool_id = :pool_id, name = :name, description = :description,
  script = :script, every_count = :every_count, every_unit = :every_unit, cron = :cron,
  timezone = :timezone, jitter = :jitter, catch_up = :catch_up,
  first_run = :first_run, run_on_all_workers = :run_on_all_workers,
  run_children_on_error = :run_children_on_error,
  disable_after_failures = :disable_after_failures, notify = :notify, enabled = :enabled
where id = :id
