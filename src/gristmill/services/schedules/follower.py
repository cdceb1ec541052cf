"""What our own agents and the people at the queue do to runs, told in the runs' own terms.

Agents know jobs. The ledger calls this at its close for jobs that are runs, in the same
transaction: so a run is stamped when its job moves, or neither happens.
"""

from gristmill.domain.runs import Run
from gristmill.domain.state import HELD, TERMINAL, JobState
from gristmill.services.queue.ledger import Ledger
from gristmill.services.schedules.board import RunEvent
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.ending import returned, write_log
from gristmill.services.schedules.killing import call_for_kills, note_executed, request_kill
from gristmill.services.schedules.turn import Turn
from gristmill.store.jobs import JobHead

_PID, _NUMBER = 8, 0


class Follower:
    """Registered with the queue's core."""

    def __init__(self, core: ScheduleCore) -> None:
        self._core = core

    def __call__(self, ledger: Ledger) -> None:
        """Follow the moves of one ledger."""
        turn = Turn(self._core, ledger.tx, ledger)
        moved = {run.id: run for run in turn.runs(ledger.runs)}
        for number, source in list(ledger.runs.items()):
            if number in moved:
                _follow(turn, moved[number], turn.head(moved[number]), source)
        for head in ledger.cancelling:
            _cancel(turn, head)
        for run in turn.runs(ledger.forgotten):
            turn.drop(run)
            turn.nudge(run.schedule_id)
        turn.close()


def _follow(turn: Turn, run: Run, head: JobHead, source: JobState) -> None:
    match head.state:
        case JobState.WAITING:
            turn.nudge(run.schedule_id)
        case JobState.READY:
            _came_back(turn, run, head, source)
        case JobState.RESERVED | JobState.RUNNING:
            _taken(turn, run, head)
        case state if state in TERMINAL:
            if source is JobState.WAITING:
                head.unmet -= 1
            _ended(turn, run, head)


def _came_back(turn: Turn, run: Run, head: JobHead, source: JobState) -> None:
    """Let a run wait for its turn that an agent gave back, or a person wants again."""
    run.enqueued_at = run.started_at = run.returned_at = run.success = run.pid = None
    turn.changed(run)
    turn.nudge(run.schedule_id)
    if source not in HELD:
        turn.ledger.hold(head)


def _taken(turn: Turn, run: Run, head: JobHead) -> None:
    """Stamp a run that an agent has, as an external worker would."""
    now = round(turn.now, 6)
    if run.enqueued_at is None:
        run.enqueued_at = now
        turn.tell(RunEvent("run", "enqueued", run.id))
        turn.withdraw(run)
    if head.state is JobState.RUNNING and run.started_at is None:
        run.started_at = _stamp(head.started_at, now)
        run.pid = _pid(turn, head)
        turn.tell(RunEvent("run", "started", run.id))
    turn.changed(run)
    call_for_kills(turn, run)


def _ended(turn: Turn, run: Run, head: JobHead) -> None:
    begun = head.started_at is not None
    now = round(turn.now, 6)
    run.returned_at = _stamp(head.ended_at, now)
    run.started_at = run.started_at or _stamp(head.started_at, run.returned_at)
    run.enqueued_at = run.enqueued_at or run.started_at
    run.pid = _pid(turn, head) or run.pid
    # Who takes a run back before it began has not failed it.
    run.success = head.state is JobState.COMPLETE if begun else _unbegun(head)
    turn.changed(run)
    if begun and head.agent_id is not None:
        write_log(turn, run, None, head.attempt)
    elif head.reason:
        write_log(turn, run, head.reason.encode())
    note_executed(turn, run)
    returned(turn, run)


def _unbegun(head: JobHead) -> bool | None:
    return None if head.state is JobState.CANCELLED else head.state is JobState.COMPLETE


def _stamp(at: float | None, otherwise: float) -> float:
    return otherwise if at is None else round(at, 6)


def _pid(turn: Turn, head: JobHead) -> int | None:
    rows = turn.tx.all("get_attempts", job=head.id)
    pids = [row[_PID] for row in rows if row[_NUMBER] == head.attempt]
    return pids[0] if pids else None


def _cancel(turn: Turn, head: JobHead) -> None:
    """Ask the external worker that has a run to end it, for a person wants that."""
    run = turn.run(head.id)
    if run is not None and head.state in HELD and head.agent_id is None:
        request_kill(turn, run)
