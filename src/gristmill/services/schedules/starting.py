"""The first run by a schedule's rhythm: from its time on, the others are counted."""

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.intervals import Moment, Rhythm, from_epoch, in_window, next_time
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.making import Wanted, at_once, make_run
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction


async def start(core: ScheduleCore, number: int, at: float | None, owner: str) -> int:
    """Add a run that the schedule's next ones follow; return its id.

    at: its time in epoch seconds; None for the next time of a cron line, else for now. owner: of
    its job. Raises NotFoundError; ConflictError when there is no rhythm, or it has a run already.
    """

    def work(tx: Transaction) -> int:
        turn = Turn(core, tx)
        row = turn.schedule(number)
        if row is None:
            raise NotFoundError(f"there is no schedule {number}")
        rhythm = turn.rhythm(row)
        if rhythm is None:
            raise ConflictError("the schedule has neither an interval nor a cron line: give it one")
        by_rhythm = [run.id for run in turn.unreturned(number) if not run.manual]
        if by_rhythm:
            raise ConflictError(f"the schedule has started already: run {by_rhythm[0]} is its next")
        due = _first(turn, rhythm) if at is None else Moment(from_epoch(at))
        run = make_run(turn, row, Wanted(due, owner=owner))
        turn.close()
        return run.id

    return await core.queue.database.write(work)


def _first(turn: Turn, rhythm: Rhythm) -> Moment:
    now = at_once(turn)
    if rhythm.cron is None and not in_window(rhythm, now.at):
        return now
    following = next_time(rhythm, now, now.at)
    if following is None:
        raise ConflictError("the schedule has no time that is in none of its windows")
    return following
