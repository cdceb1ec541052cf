"""Kill requests: the wish that a run be ended."""

from collections.abc import Sequence
from typing import Any

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Context, Document, Found, Page
from gristmill.dialects.job_runner.errors import missing
from gristmill.dialects.job_runner.filters import Filters
from gristmill.dialects.job_runner.moments import write_moment
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.relations import (
    check_operator,
    check_unmoved,
    related_run,
    serves_run,
)
from gristmill.dialects.job_runner.uris import uri
from gristmill.domain.runs import KillRequest
from gristmill.services.schedules.kills import KillChange, Kills
from gristmill.services.schedules.runs import Runs

_CORE_NAMES = {"enqueue_dts": "enqueued_at", "execute_dts": "executed_at"}


class KillRequests:
    """The kill requests of the runs a caller serves."""

    def __init__(self, kills: Kills, runs: Runs) -> None:
        self._kills, self._runs = kills, runs

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list, which has no filters."""
        del filters
        page = await self._kills.list(
            context.reach.projects, context.reach.served_pools, window.offset, window.limit
        )
        return Page(page.total, [_write(context, one) for one in page.items])

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the kill requests with these ids."""
        known = await self._kills.get_many(ids)
        runs = await self._runs.get_many([one.run_id for one in known.values()])
        seen = {
            number: _write(context, one)
            for number, one in known.items()
            if serves_run(context, runs.get(one.run_id))
        }
        return Found(seen, frozenset(known) - frozenset(seen))

    async def create(self, context: Context, fields: Fields) -> int:
        """Ask for the end of a run. Raises RefusedError, GristmillError."""
        run = await related_run(context, self._runs, fields["run"])
        check_operator(context, run.project_id)
        return await self._kills.create(run.id)

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Note how far a worker is with it. Raises RefusedError, GristmillError."""
        del context
        known = (await self._kills.get_many([number])).get(number)
        if known is None:
            raise missing()
        check_unmoved("run", fields.get("run"), known.run_id)
        given: dict[str, Any] = {
            core: fields[wire] for wire, core in _CORE_NAMES.items() if wire in fields
        }
        await self._kills.change(number, KillChange(**given))


def _write(context: Context, one: KillRequest) -> Document:
    return {
        "id": one.id,
        "resource_uri": uri(context.mount, "kill_request", one.id),
        "run": uri(context.mount, "run", one.run_id),
        "schedule_dts": write_moment(one.created_at, context.zone),
        "enqueue_dts": write_moment(one.enqueued_at, context.zone),
        "execute_dts": write_moment(one.executed_at, context.zone),
    }
