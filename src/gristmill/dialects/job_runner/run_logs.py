"""Run logs: what a run printed, one to a run."""

from collections.abc import Sequence

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Context, Document, Found, Page
from gristmill.dialects.job_runner.errors import bad, missing, unauthorized
from gristmill.dialects.job_runner.filters import Filters
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.relations import check_unmoved, related_run, serves_run
from gristmill.dialects.job_runner.uris import uri
from gristmill.domain.errors import ConflictError
from gristmill.services.schedules.logs import Log, Logs
from gristmill.services.schedules.runs import Runs


class RunLogs:
    """The logs of the runs a caller serves."""

    def __init__(self, logs: Logs, runs: Runs) -> None:
        self._logs, self._runs = logs, runs

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list, which has no filters."""
        del filters
        page = await self._logs.list(
            context.reach.projects, context.reach.served_pools, window.offset, window.limit
        )
        return Page(page.total, [_write(context, log) for log in page.items])

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the logs with these ids."""
        known = await self._logs.get_many(ids)
        runs = await self._runs.get_many([log.run_id for log in known.values()])
        seen = {
            number: _write(context, log)
            for number, log in known.items()
            if serves_run(context, runs.get(log.run_id))
        }
        return Found(seen, frozenset(known) - frozenset(seen))

    async def create(self, context: Context, fields: Fields) -> int:
        """Store what a run printed. Raises RefusedError, GristmillError."""
        run = await related_run(context, self._runs, fields["run"])
        if not serves_run(context, run):
            raise unauthorized()
        try:
            return await self._logs.create(run.id, fields.get("content"))
        except ConflictError as error:
            raise bad("run", str(error)) from error

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Store it anew. Raises RefusedError, GristmillError."""
        del context
        known = (await self._logs.get_many([number])).get(number)
        if known is None:
            raise missing()
        check_unmoved("run", fields.get("run"), known.run_id)
        if "content" in fields:
            await self._logs.change(number, fields["content"])


def _write(context: Context, log: Log) -> Document:
    return {
        "id": log.id,
        "resource_uri": uri(context.mount, "run_log", log.id),
        "run": uri(context.mount, "run", log.run_id),
        "content": log.content,
    }
