"""What the one who runs a run says of it: claimed, begun, returned, given back."""

from typing import Any

from msgspec import UNSET

from gristmill.domain.errors import ConflictError, NotFoundError, NotPermittedError
from gristmill.domain.runs import Run, RunChange
from gristmill.domain.state import HELD, JobState
from gristmill.services.queue.external import Told, bring
from gristmill.services.schedules.board import RunEvent
from gristmill.services.schedules.dispatch import dispatch, take_turn
from gristmill.services.schedules.ending import returned
from gristmill.services.schedules.killing import call_for_kills, close_kills
from gristmill.services.schedules.turn import Turn
from gristmill.store.jobs import JobHead

_STAMPS = ("enqueued_at", "started_at", "returned_at")
_PLAIN = (*_STAMPS, "success", "pid", "manual", "chains")
_OF_THE_HOLDER = (*_STAMPS, "success", "pid", "worker_id")


def change_run(turn: Turn, number: int, change: RunChange, by_worker: int | None) -> Run:
    """Change a run; see Runs.change."""
    run = turn.run(number)
    if run is None:
        raise _no_run(number)
    worker = _worker(turn, run, change, by_worker)
    if _sets(change, "enqueued_at") and run.enqueued_at is None and not run.ended:
        run = _claim(turn, run)
    head = turn.head(run)
    _check_ours(head, change)
    before = (run.enqueued_at, run.started_at, run.returned_at)
    _apply(run, change, worker)
    turn.changed(run)
    if change.due_at is not UNSET:
        _reschedule(turn, run, head, change.due_at)
    if (run.enqueued_at, run.started_at, run.returned_at) != before or run.ended:
        _follow_up(turn, run, head, before)
    call_for_kills(turn, run)
    return run


def _worker(turn: Turn, run: Run, change: RunChange, by_worker: int | None) -> int | None:
    """Return the worker that has the run after the change. Raises when it may not have it."""
    wanted = change.worker_id if change.worker_id is not UNSET else None
    claims = _sets(change, "enqueued_at")
    if by_worker is not None:
        _check_in_pool(turn, run, by_worker)
        if run.worker_id not in {None, by_worker}:
            if claims:
                raise ConflictError(f"run {run.id} belongs to another worker")
            raise NotPermittedError(f"run {run.id} belongs to another worker")
        if wanted not in {None, by_worker}:
            raise NotPermittedError("a worker can claim runs for itself only")
    if wanted is None and claims and run.worker_id is None:
        wanted = by_worker
    if wanted is None:
        return run.worker_id
    if run.worker_id not in {None, wanted}:
        raise ConflictError(f"run {run.id} belongs to another worker")
    _check_in_pool(turn, run, wanted)
    return wanted


def _check_in_pool(turn: Turn, run: Run, worker: int) -> None:
    row = turn.schedule(run.schedule_id)
    if row is None or all(one.id != worker for one in turn.workers(row.pool_id)):
        raise NotPermittedError(f"the worker is not in the pool of run {run.id}")


def _claim(turn: Turn, run: Run) -> Run:
    """Return the run once it can be claimed. Raises ConflictError when it cannot."""
    dispatch(turn, run.schedule_id)
    found = turn.run(run.id)
    if found is not None:
        take_turn(turn, found)
        found = turn.run(run.id)
    if found is None:
        raise ConflictError(f"run {run.id} was replaced by one for each worker")
    head = turn.head(found)
    if head.state is JobState.READY:
        return found
    if head.state in HELD:
        raise ConflictError(f"run {run.id} is in other hands")
    if head.state is JobState.DELAYED or run.due_at > turn.now:
        raise ConflictError(f"run {run.id} is not due")
    raise ConflictError(f"it is not the turn of run {run.id}: another run or a switch is before it")


def _check_ours(head: JobHead, change: RunChange) -> None:
    if head.state not in HELD or head.agent_id is None:
        return
    if any(getattr(change, name) is not UNSET for name in _OF_THE_HOLDER):
        raise ConflictError(f"run {head.id} is run by an agent of this server")


def _apply(run: Run, change: RunChange, worker: int | None) -> None:
    run.worker_id = worker
    for name in _PLAIN:
        value: Any = getattr(change, name)
        if value is not UNSET:
            setattr(run, name, round(value, 6) if isinstance(value, float) else value)


def _reschedule(turn: Turn, run: Run, head: JobHead, due_at: float) -> None:
    """Give a run another time; one that is out already is taken back when that is later."""
    row = turn.schedule(run.schedule_id)
    due_at = round(due_at, 6)
    if row is not None and not run.manual and row.base_at == run.due_at:
        row.base_at, row.base_shift = due_at, 0.0
        turn.progressed(row)
    run.due_at = due_at
    if head.state in {JobState.DELAYED, JobState.READY}:
        turn.ledger.hold(head)
        turn.withdraw(run)
    if head.state is JobState.WAITING:
        head.ready_at = due_at if due_at > turn.now else None
        if head.ready_at is not None:
            turn.ledger.release(head)
    turn.nudge(run.schedule_id)


def _follow_up(
    turn: Turn, run: Run, head: JobHead, before: tuple[float | None, float | None, float | None]
) -> None:
    """Bring the job to where the stamps say it is, and tell of what is new."""
    _bring(turn, run, head)
    names = ("enqueued", "started", "returned")
    stamps = (run.enqueued_at, run.started_at, run.returned_at)
    for name, was, now in zip(names, before, stamps, strict=True):
        if now is not None and now != was and name != "returned":
            turn.tell(RunEvent("run", name, run.id))  # type: ignore[arg-type]
    if run.enqueued_at is not None:
        turn.withdraw(run)
    if run.ended:
        close_kills(turn, run)
    if run.returned_at is not None and run.returned_at != before[2]:
        returned(turn, run)
    turn.nudge(run.schedule_id)


def _bring(turn: Turn, run: Run, head: JobHead) -> None:
    told = Told(run.started_at, run.returned_at, run.pid)
    if run.ended:
        wanted = JobState.BURIED if run.success is False else JobState.COMPLETE
        if head.state is JobState.CANCELLED and wanted is JobState.BURIED:
            return
    elif run.enqueued_at is not None:
        wanted = JobState.RESERVED if run.started_at is None else JobState.RUNNING
    elif head.state in HELD or head.state not in {JobState.DELAYED, JobState.WAITING}:
        wanted = JobState.READY
    else:
        return
    bring(turn.ledger, head, wanted, told)


def _sets(change: RunChange, name: str) -> bool:
    return getattr(change, name) not in {UNSET, None}


def _no_run(number: int) -> NotFoundError:
    return NotFoundError(f"there is no run {number}")
