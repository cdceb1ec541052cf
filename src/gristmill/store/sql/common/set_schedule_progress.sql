update schedule
set enabled = :enabled, failures = :failures, last_completed_set = :last_completed_set,
  base_at = :base_at, base_shift = :base_shift, stuck_at = :stuck_at,
  runs_succeeded = :runs_succeeded, runs_failed = :runs_failed, runs_unjudged = :runs_unjudged,
  logs = :logs
where id = :id
