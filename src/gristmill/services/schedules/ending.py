"""A run has returned: what that means for its schedule, its children, and people."""

from gristmill.domain.runs import Run
from gristmill.domain.state import JobState
from gristmill.services.queue.external import Told, bring
from gristmill.services.schedules.board import RunEvent
from gristmill.services.schedules.making import Wanted, at_once, ensure_next, make_run
from gristmill.services.schedules.turn import Turn
from gristmill.store.runs import RunLog, logged, put_log
from gristmill.store.schedules import ScheduleRow, children_of


def returned(turn: Turn, run: Run) -> None:
    """Let the effects of a run's end happen, once for each time it says it ended."""
    row = turn.schedule(run.schedule_id)
    if row is None or run.returned_at is None or run.returned_at in run.returns:
        return
    run.returns = (*run.returns, run.returned_at)
    turn.changed(run)
    turn.withdraw(run)
    turn.tell(RunEvent("run", "returned", run.id))
    _judge(turn, row, run)
    siblings = turn.siblings(run)
    if all(one.ended for one in siblings):
        if run.chains and _follows(row, run, siblings):
            _chain(turn, row)
        ensure_next(turn, row, run.set_id)
    turn.nudge(row.id)


def _judge(turn: Turn, row: ScheduleRow, run: Run) -> None:
    """Count failures, and switch a schedule off that fails again and again."""
    row.last_completed_set = run.set_id
    turn.progressed(row)
    if run.success is not False:
        row.failures = 0
        return
    turn.notify(lambda: turn.core.notifier.run_failed(turn.tx, run.id))
    row.failures += 1
    limit = row.disable_after_failures
    if limit is not None and row.failures > limit:
        row.enabled = False


def _follows(row: ScheduleRow, run: Run, siblings: list[Run]) -> bool:
    if run.success is None:
        return False
    if row.run_children_on_error:
        return True
    return run.success and all(one.success is not False for one in siblings)


def _chain(turn: Turn, row: ScheduleRow) -> None:
    for number, enabled in children_of(turn.tx, [row.id])[row.id]:
        child = turn.schedule(number) if enabled else None
        # What this very turn switched off is not in the store yet.
        if child is not None and child.enabled:
            make_run(turn, child, Wanted(at_once(turn)))


def fail_run(turn: Turn, run: Run, reason: str) -> bool:
    """Take a run for failed on the server's word; return whether it had not returned yet."""
    if run.ended:
        return False
    now = round(turn.now, 6)
    run.enqueued_at = now if run.enqueued_at is None else run.enqueued_at
    run.started_at = now if run.started_at is None else run.started_at
    run.returned_at, run.success = now, False
    turn.changed(run)
    write_log(turn, run, reason.encode("utf-8", "surrogatepass"))
    told = Told(run.started_at, now, run.pid, reason[:200])
    bring(turn.ledger, turn.head(run), JobState.BURIED, told)
    returned(turn, run)
    return True


def write_log(turn: Turn, run: Run, content: bytes | None, attempt: int | None = None) -> None:
    """Give a run its log. attempt: the log is the output of that attempt of the job."""
    if run.id not in logged(turn.tx, [run.id]):
        row = turn.schedule(run.schedule_id)
        if row is not None:
            row.logs += 1
            turn.progressed(row)
    put_log(turn.tx, RunLog(run.id, run.schedule_id, attempt, content))
