"""Deletes blobs and tasks that nobody needs any more; woken by what makes them, not by time."""

import asyncio
import shutil
from pathlib import Path

import structlog

from gristmill.domain.errors import UnavailableError
from gristmill.services.data.core import DataCore
from gristmill.store import data as store
from gristmill.store.database import Transaction

KEEP_TASKS = 7 * 86400.0
"""Seconds that the result of a task is kept."""

AT_ONCE = 200

log = structlog.get_logger()


class Sweeper:
    """One loop. A blob goes when no call and no task is older than its death."""

    def __init__(self, core: DataCore) -> None:
        self._core = core
        self._tasks = core.home / "tasks"

    async def begin(self) -> None:
        """Give up what was being written when the server was killed."""
        now = self._core.queue.chance.now()

        def work(tx: Transaction) -> None:
            tx.run("bury_pending_data_blobs", now=now)
            tx.after_commit(self._core.garbage.set)

        await self._core.queue.database.write(work)

    async def run(self) -> None:
        """Sweep whenever there may be something to sweep."""
        while True:
            await self._core.garbage.wait()
            self._core.garbage.clear()
            while await self._sweep_blobs():
                pass
            await self._sweep_tasks()

    async def _sweep_blobs(self) -> bool:
        core = self._core
        reads = core.oldest_read()

        def find(tx: Transaction) -> list[str]:
            oldest = tx.one("get_oldest_open_data_task")
            before = min(reads, oldest[0]) if oldest else reads
            return [row[0] for row in tx.all("list_dead_data_blobs", before=before, limit=AT_ONCE)]

        paths = await core.queue.database.read(find)
        if not paths:
            return False
        try:
            await core.workers.call({"op": "delete", "root": core.root, "paths": paths})
        except UnavailableError as error:
            log.info("data.sweep_postponed", blobs=len(paths), error=str(error))
            return False

        def forget(tx: Transaction) -> None:
            for path in paths:
                store.keep_blob(tx, path)

        await core.queue.database.write(forget)
        return len(paths) == AT_ONCE

    async def _sweep_tasks(self) -> None:
        before = self._core.queue.chance.now() - KEEP_TASKS

        def work(tx: Transaction) -> list[str]:
            old = [row[0] for row in tx.all("list_ended_data_tasks", before=before, limit=AT_ONCE)]
            for task in old:
                tx.run("delete_data_task", id=task)
            return old

        for task in await self._core.queue.database.write(work):
            await asyncio.to_thread(_remove, self._tasks / task)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
