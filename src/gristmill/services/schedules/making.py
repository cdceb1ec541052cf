"""Runs are made: each a job of its own, which waits for its time and then for its turn."""

from datetime import timedelta
from typing import NamedTuple

import msgspec

from gristmill.domain.clock import Chance
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.identity import ADMIN_USER
from gristmill.domain.intervals import Moment, from_epoch, in_window, next_time, to_epoch
from gristmill.domain.job import JobSpec, Task
from gristmill.domain.runs import Phase, Run
from gristmill.domain.templates import render
from gristmill.services.queue.registry import NODE_LABEL
from gristmill.services.queue.submit import Submission
from gristmill.services.schedules.turn import Turn, base_of
from gristmill.store.schedules import ScheduleRow

LONGEST_NAME = 512


class Wanted(NamedTuple):
    """A run to make.

    worker_id, node: whom it is meant for, one of our agents by its node. set_id: of its siblings.
    owner: of its job.
    """

    due: Moment
    manual: bool = False
    chains: bool = True
    worker_id: int | None = None
    node: str = ""
    set_id: int | None = None
    owner: str = ADMIN_USER
    dialect: Dialect = Dialect.SCHEDULE


def make_run(turn: Turn, row: ScheduleRow, wanted: Wanted) -> Run:
    """Add a run and its job."""
    due_at = round(to_epoch(wanted.due.at), 6)
    spec = _first_spec(row, due_at, wanted.node)
    begins = due_at if wanted.manual or wanted.set_id else _with_jitter(turn, row, due_at)
    submission = Submission(
        [spec], wanted.owner, wanted.dialect, ready_at=max(0.0, begins), held=True
    )
    (number,) = turn.core.submitter.add(turn.tx, submission).ids
    run = Run(
        id=number,
        schedule_id=row.id,
        set_id=wanted.set_id or number,
        phase=Phase.SCHEDULED,
        worker_id=wanted.worker_id,
        due_at=due_at,
        enqueued_at=None,
        started_at=None,
        returned_at=None,
        success=None,
        pid=None,
        manual=wanted.manual,
        chains=wanted.chains,
    )
    turn.add(run)
    if not wanted.manual:
        row.base_at, row.base_shift = due_at, wanted.due.shift.total_seconds()
        turn.progressed(row)
    # Time went on since the turn began, and the job may be due by the clock it was added at.
    if begins <= turn.core.queue.chance.now():
        turn.nudge(row.id)
    return run


def _first_spec(row: ScheduleRow, due_at: float, node: str) -> JobSpec:
    """Return the job as it looks while it waits; it is written anew when its turn comes."""
    try:
        return job_spec(row, due_at, node)
    except InvalidInputError:
        return job_spec(msgspec.structs.replace(row, template_body=""), due_at, node)


def job_spec(row: ScheduleRow, due_at: float, node: str = "") -> JobSpec:
    """Return what our agents execute for a run of this schedule, as it is defined now.

    Raises InvalidInputError when the template cannot be rendered.
    """
    script = render(row.template_body, row.script).replace("\r", "")
    return JobSpec(
        tasks=(Task(script=script),),
        name=row.name[:LONGEST_NAME],
        group=f"{row.project_name}/{row.name}"[:LONGEST_NAME],
        project=row.project_name,
        pool=row.pool_name,
        env={
            "GRISTMILL_SCHEDULE": f"{row.project_name}/{row.name}",
            "GRISTMILL_DUE_AT": from_epoch(due_at).isoformat().replace("+00:00", "Z"),
        },
        constraints={NODE_LABEL: node} if node else {},
        merge_output=True,
    )


def ensure_next(turn: Turn, row: ScheduleRow, set_id: int) -> None:
    """Make the run that follows the newest one, unless another waits or runs already.

    set_id: of the run that is dispatched or has returned, which does not count.
    """
    rhythm, base = turn.rhythm(row), base_of(row)
    if rhythm is None or base is None:
        return
    if any(run.set_id != set_id for run in turn.unreturned(row.id)):
        return
    now = base.at if row.catch_up == "all" else from_epoch(turn.now)
    following = next_time(rhythm, base, now)
    if following is not None:
        make_run(turn, row, Wanted(following))
    elif row.stuck_at != row.base_at:
        row.stuck_at = row.base_at
        turn.progressed(row)
        turn.notify(lambda: turn.core.notifier.cannot_reschedule(turn.tx, row.id))


def at_once(turn: Turn) -> Moment:
    """Return the present as the time of a run."""
    return Moment(from_epoch(round(turn.now, 6)))


def _with_jitter(turn: Turn, row: ScheduleRow, due_at: float) -> float:
    """Return when the run may begin: up to the jitter later, but never in a window."""
    if not row.jitter:
        return due_at
    chance: Chance = turn.core.queue.chance
    rhythm = turn.rhythm(row)
    try:
        later = from_epoch(due_at) + timedelta(seconds=chance.random.random() * row.jitter)
        excluded = rhythm is not None and in_window(rhythm, later)
    except OverflowError:
        return due_at
    return due_at if excluded else to_epoch(later)
