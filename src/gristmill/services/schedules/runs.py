"""Runs as workers, people and dialects see and change them."""

from collections.abc import Iterable

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import NotFoundError
from gristmill.domain.identity import ADMIN_USER
from gristmill.domain.intervals import Moment, from_epoch
from gristmill.domain.runs import RunChange
from gristmill.services.schedules.changing import change_run
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.ending import fail_run
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.listing import list_runs, views
from gristmill.services.schedules.making import Wanted, make_run
from gristmill.services.schedules.pages import MOST_A_PAGE, Page, RunFilter, RunView
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction
from gristmill.store.runs import get_runs


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to add. The stamps are for runs that were claimed or done before they were told of."""

    schedule_id: int
    due_at: float
    manual: bool = False
    chains: bool = True
    enqueued_at: float | None = None
    started_at: float | None = None
    returned_at: float | None = None
    success: bool | None = None
    pid: int | None = None
    worker_id: int | None = None


class Runs:
    """Every method is one transaction; times are epoch seconds."""

    def __init__(self, core: ScheduleCore, index: ScheduleIndex) -> None:
        self._core, self._index = core, index
        self._database = core.queue.database

    async def list(
        self,
        wanted: RunFilter = RunFilter(),  # noqa: B008 - frozen
        offset: int = 0,
        limit: int = MOST_A_PAGE,
    ) -> Page[RunView]:
        """Return a page: returned runs newest first, then started, claimed and scheduled ones."""
        index = await self._index.get()
        return await self._database.read(lambda tx: list_runs(tx, index, wanted, offset, limit))

    async def get_many(self, ids: Iterable[int]) -> dict[int, RunView]:
        """Return the runs that exist, by id."""
        index, wanted = await self._index.get(), list(ids)

        def work(tx: Transaction) -> dict[int, RunView]:
            found = views(tx, index, get_runs(tx, wanted).values())
            return {view.id: view for view in found}

        return await self._database.read(work)

    async def get(self, number: int) -> RunView:
        """Return one run. Raises NotFoundError."""
        found = await self.get_many([number])
        if number not in found:
            raise NotFoundError(f"there is no run {number}")
        return found[number]

    async def create(
        self, new: NewRun, owner: str = ADMIN_USER, dialect: Dialect = Dialect.JOB_RUNNER
    ) -> int:
        """Add a run; return its id. Raises NotFoundError when there is no such schedule."""

        def work(tx: Transaction) -> int:
            turn = Turn(self._core, tx)
            row = turn.schedule(new.schedule_id)
            if row is None:
                raise NotFoundError(f"there is no schedule {new.schedule_id}")
            due = Moment(from_epoch(new.due_at))
            wanted = Wanted(due, new.manual, new.chains, owner=owner, dialect=dialect)
            run = make_run(turn, row, wanted)
            stamps = _stamps(new)
            if stamps is not None:
                change_run(turn, run.id, stamps, None)
            turn.close()
            return run.id

        return await self._database.write(work)

    async def change(self, number: int, change: RunChange, by_worker: int | None = None) -> RunView:
        """Change a run: a claim, a start, a return with all that follows from it, or less.

        by_worker: the external worker that says so. Raises NotFoundError; ConflictError for a
        run that is not to be claimed now, or by somebody else; NotPermittedError for a worker
        that is not in the pool, or not the one that has the run.
        """

        def work(tx: Transaction) -> None:
            turn = Turn(self._core, tx)
            change_run(turn, number, change, by_worker)
            turn.close()

        await self._database.write(work)
        return await self.get(number)

    async def mark_failed(self, number: int, reason: str) -> bool:
        """Take a run for failed; return whether it had not returned yet. Raises NotFoundError."""

        def work(tx: Transaction) -> bool:
            turn = Turn(self._core, tx)
            run = turn.run(number)
            if run is None:
                raise NotFoundError(f"there is no run {number}")
            failed = fail_run(turn, run, reason)
            turn.close()
            return failed

        return await self._database.write(work)


def _stamps(new: NewRun) -> RunChange | None:
    given = {
        name: value
        for name in ("enqueued_at", "started_at", "returned_at", "success", "pid", "worker_id")
        if (value := getattr(new, name)) is not None
    }
    return RunChange(**given) if given else None
