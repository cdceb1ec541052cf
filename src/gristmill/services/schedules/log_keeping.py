"""Logs of runs go when they are old or too many; off by default. The runs stay."""

from functools import partial

from gristmill.domain.runs import Phase
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.turn import Turn
from gristmill.services.waiting import every_hour
from gristmill.store.database import Transaction
from gristmill.store.runs import delete_logs, logged, logs_before, oldest_logs
from gristmill.store.schedules import logged_schedules, sum_completed

MOST_AT_ONCE = 500
"""Logs found or deleted in one transaction, so that others get their turn."""


class LogKeeping:
    """Deletes logs of completed runs as the rules' keep_logs_for and keep_logs say."""

    def __init__(self, core: ScheduleCore) -> None:
        self._core, self._rules = core, core.rules
        self._database = core.queue.database

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        await every_hour(self.tidy)

    async def tidy(self) -> None:
        """Delete all logs that need not be kept. Raises UnavailableError."""
        if self._rules.keep_logs is None and self._rules.keep_logs_for is None:
            return
        for schedule in await self._database.read(logged_schedules):
            while runs := await self._database.read(partial(self._find, schedule=schedule)):
                await self._database.write(partial(self._delete, runs=runs))

    def _find(self, tx: Transaction, schedule: int) -> list[int]:
        """Return runs of a schedule, the oldest first, whose logs need not be kept."""
        rules, keep = self._rules, self._rules.keep_logs
        surplus = 0 if keep is None else sum_completed(tx, [schedule]).logs - keep
        found = oldest_logs(tx, schedule, min(surplus, MOST_AT_ONCE)) if surplus > 0 else []
        if found or rules.keep_logs_for is None:
            return found
        before = self._core.queue.chance.now() - rules.keep_logs_for
        return logs_before(tx, schedule, before, MOST_AT_ONCE)

    def _delete(self, tx: Transaction, runs: list[int]) -> None:
        turn = Turn(self._core, tx)
        there = logged(tx, runs)
        # A run that was given back since it was found keeps its log.
        ended = [run for run in turn.runs(runs) if run.id in there and run.phase is Phase.COMPLETED]
        for run in ended:
            row = turn.schedule(run.schedule_id)
            if row is not None:
                row.logs -= 1
                turn.progressed(row)
        delete_logs(tx, [run.id for run in ended])
        turn.close()
