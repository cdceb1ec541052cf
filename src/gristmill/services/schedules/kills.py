"""Requests to kill runs, as people and workers see and change them."""

from collections.abc import Collection, Iterable

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.domain.errors import NotFoundError
from gristmill.domain.runs import KillRequest
from gristmill.services.schedules.board import RunEvent
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.killing import request_kill
from gristmill.services.schedules.pages import MOST_A_PAGE, Page
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction
from gristmill.store.runs import (
    get_kill_requests,
    list_kill_requests,
    save_kill_request,
)


class KillChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of a request. Epoch seconds."""

    enqueued_at: float | UnsetType | None = UNSET
    executed_at: float | UnsetType | None = UNSET


class Kills:
    """Every method is one transaction."""

    def __init__(self, core: ScheduleCore, index: ScheduleIndex) -> None:
        self._core, self._index = core, index
        self._database = core.queue.database

    async def create(self, run_id: int) -> int:
        """Ask for the end of a run, whatever its state; return the id. Raises NotFoundError."""

        def work(tx: Transaction) -> int:
            turn = Turn(self._core, tx)
            run = turn.run(run_id)
            if run is None:
                raise NotFoundError(f"there is no run {run_id}")
            number = request_kill(turn, run)
            turn.close()
            return number

        return await self._database.write(work)

    async def get_many(self, ids: Iterable[int]) -> dict[int, KillRequest]:
        """Return the requests that exist, by id."""
        wanted = list(ids)
        return await self._database.read(lambda tx: get_kill_requests(tx, wanted))

    async def list(
        self,
        project_ids: Collection[int] | None = None,
        pool_ids: Collection[int] | None = None,
        offset: int = 0,
        limit: int = MOST_A_PAGE,
    ) -> Page[KillRequest]:
        """Return a page of requests, by id."""
        index = await self._index.get()
        schedules = index.choose(project_ids, pool_ids)

        def work(tx: Transaction) -> Page[KillRequest]:
            if not schedules:
                return Page(0, [])
            total, page = list_kill_requests(tx, schedules, skip=offset, most=limit)
            return Page(total, page)

        return await self._database.read(work)

    async def change(self, number: int, change: KillChange) -> KillRequest:
        """Stamp a request. Raises NotFoundError."""

        def work(tx: Transaction) -> KillRequest:
            request = get_kill_requests(tx, [number]).get(number)
            if request is None:
                raise NotFoundError(f"there is no kill request {number}")
            after = _changed(request, change)
            save_kill_request(tx, after)
            tx.after_commit(lambda: self._announce(request, after))
            return after

        return await self._database.write(work)

    def _announce(self, before: KillRequest, after: KillRequest) -> None:
        board = self._core.board
        if after.enqueued_at is not None or after.executed_at is not None:
            board.killed(after.id)
        if after.enqueued_at is not None and after.enqueued_at != before.enqueued_at:
            board.tell(RunEvent("kill_request", "enqueued", after.id))
        if after.executed_at is not None and after.executed_at != before.executed_at:
            board.tell(RunEvent("kill_request", "executed", after.id))


def _changed(request: KillRequest, change: KillChange) -> KillRequest:
    enqueued, executed = change.enqueued_at, change.executed_at
    return request._replace(
        enqueued_at=request.enqueued_at if enqueued is UNSET else _stamp(enqueued),
        executed_at=request.executed_at if executed is UNSET else _stamp(executed),
    )


def _stamp(at: float | None) -> float | None:
    return None if at is None else round(at, 6)
