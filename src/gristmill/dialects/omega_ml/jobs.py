"""The resource ``job``: notebooks and their runs."""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.calls import Call, uri
from gristmill.dialects.omega_ml.dates import iso
from gristmill.dialects.omega_ml.keys import SUFFIX, check_new, split_run
from gristmill.dialects.omega_ml.paging import page
from gristmill.dialects.omega_ml.work import Done, Work, encoded, note_of
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import NotFoundError
from gristmill.services.data.notebooks import Run
from gristmill.services.data.place import NOTEBOOK, Place, Stored
from gristmill.services.house import House

RESULTS = "results/"


class Jobs:
    """Its handlers."""

    def __init__(self, house: House, work: Work) -> None:
        self._core = house.data.core
        self._notebooks, self._tasks, self._work = house.data.notebooks, house.data.tasks, work
        work.builders["job"] = self._ran

    async def list(self, call: Call) -> None:
        """Answer with a page."""
        found = await page(call, self._core, NOTEBOOK)
        listed = [
            view(each, await self._notebooks.runs(call.place, each.name)) for each in found.objects
        ]
        await call.reply(wire.JobPage(found.meta, listed))

    async def write(self, call: Call) -> None:
        """Store a notebook."""
        name = call.key.removesuffix(SUFFIX)
        check_new("job", name)
        stored = await self._notebooks.put(call.place, name, await call.exchange.body())
        await call.reply(view(stored, await self._notebooks.runs(call.place, name)))

    async def get(self, call: Call) -> None:
        """Answer with a notebook and its runs."""
        shown = await self.view(call.place, call.key.removesuffix(SUFFIX))
        shown.content = msgspec.Raw(await self._notebooks.content(call.place, shown.job))
        await call.reply(shown)

    async def view(self, place: Place, name: str) -> wire.JobView:
        """Return a notebook with its runs."""
        stored = await self._notebooks.get(place, name)
        return view(stored, await self._notebooks.runs(place, name))

    async def delete(self, call: Call) -> None:
        """Forget a notebook."""
        name = call.key.removesuffix(SUFFIX)
        await self._notebooks.delete(call.place, name)
        await call.reply({"name": f"{name}{SUFFIX}", "resource_uri": call.uri(name)})

    async def run(self, call: Call) -> None:
        """Run a notebook."""
        name = call.key.removesuffix(SUFFIX)
        note = note_of(call, name)
        task = await self._tasks.notebook(
            call.who, call.place, name, encoded(note), Dialect.OMEGA_ML
        )
        await self._work.answer(call, task, note)

    async def _ran(self, done: Done) -> wire.JobView:
        return await self.view(done.place, done.note.key)

    async def result(self, call: Call) -> None:
        """Answer with the executed copy of a run."""
        named = split_run(call.key)
        if named is None:
            raise NotFoundError(f"there is no result {call.key[:200]!r}")
        name, stamp = named
        run = await self._notebooks.run(call.place, name, stamp)
        content = await self._notebooks.result(call.place, name, stamp)
        path = result_of(name, stamp)
        shown = wire.JobView([], {}, path, iso(run.ended), name, [], uri("job", path))
        shown.content, shown.source_job = msgspec.Raw(content), name
        await call.reply(shown)

    async def export(self, call: Call) -> None:
        """Answer with a run, or with a notebook that is called so, as a page."""
        key = call.key.removesuffix(SUFFIX)
        page_of = await self._page(call.place, key)
        text = await asyncio.to_thread(page_of.decode)
        await call.reply(wire.JobExport(text, f"{key}{SUFFIX}"))

    async def _page(self, place: Place, key: str) -> bytearray:
        named = split_run(key)
        if named is not None:
            # A notebook may have a name that looks like a run's.
            with contextlib.suppress(NotFoundError):
                return await self._notebooks.export(place, *named)
        return await self._notebooks.export(place, key, None)


def view(stored: Stored, runs: Sequence[Run]) -> wire.JobView:
    """Show a notebook with its runs, oldest first."""
    return wire.JobView(
        {str(run.stamp): run.status for run in runs} if runs else [],
        [result_of(stored.name, run.stamp) for run in runs] if runs else {},
        f"{stored.name}{SUFFIX}",
        iso(stored.created),
        stored.name,
        [
            wire.JobRun(run.status, iso(run.started), run.message,
                        result_of(stored.name, run.stamp))
            for run in runs
        ],
        uri("job", stored.name),
    )  # fmt: skip


def result_of(name: str, stamp: int) -> str:
    """Return what the executed copy of a run is called."""
    return f"{RESULTS}{name}_{stamp}{SUFFIX}"
