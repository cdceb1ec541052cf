"""Runs for the times of a period that has passed."""

from itertools import islice

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import ADMIN_USER
from gristmill.domain.intervals import Moment, from_epoch, times_between
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.making import Wanted, make_run
from gristmill.services.schedules.turn import Turn, base_of
from gristmill.store.database import Transaction

MOST_AT_ONCE = 1_000
"""Runs of one backfill; a longer period is filled in parts."""


async def backfill(
    core: ScheduleCore,
    number: int,
    first: float,
    last: float,
    *,
    chains: bool = False,
    owner: str = ADMIN_USER,
) -> list[int]:
    """Add a run for each time of the schedule from first to last; return their ids.

    They run one after another, earliest first, whatever the switches say. Raises NotFoundError;
    InvalidInputError when the schedule has no rhythm, or for a period with too many times.
    """

    def work(tx: Transaction) -> list[int]:
        turn = Turn(core, tx)
        row = turn.schedule(number)
        if row is None:
            raise NotFoundError(f"there is no schedule {number}")
        rhythm = turn.rhythm(row)
        if rhythm is None:
            raise InvalidInputError("the schedule has neither an interval nor a cron line", "from")
        anchor = base_of(row)
        if anchor is None:
            anchor = Moment(from_epoch(row.first_run if row.first_run is not None else first))
        times = times_between(rhythm, anchor, from_epoch(first), from_epoch(last))
        moments = list(islice(times, MOST_AT_ONCE + 1))
        if len(moments) > MOST_AT_ONCE:
            raise InvalidInputError(
                f"the period has more than {MOST_AT_ONCE} times: fill it in parts", "to"
            )
        runs = [
            make_run(turn, row, Wanted(moment, manual=True, chains=chains, owner=owner))
            for moment in moments
        ]
        turn.nudge(row.id)
        turn.close()
        return [run.id for run in runs]

    if last > core.queue.chance.now():
        raise InvalidInputError("lies in the future: a backfill is for what has passed", "to")
    return await core.queue.database.write(work)
