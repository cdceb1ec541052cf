update kill_request
set enqueued_at = :enqueued_at, executed_at = :executed_at
where id = :id
