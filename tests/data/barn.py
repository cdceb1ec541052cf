"""The data services without a server: real workers, real databases, jobs ended by the test."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec, tasks_of
from gristmill.protocol.data import CALLS_SOCKET, DATA_LABEL, TASKS_SOCKET
from gristmill.services.data.data import Data
from gristmill.services.data.place import Place
from gristmill.services.data.tasks import DataTask
from gristmill.services.keyring import open_keyring
from gristmill.services.tokens import Tokens
from gristmill.store.database import Database, open_database
from tests.services.mill import Clock, Mill

ANN, BEN = Identity(user="ann"), Identity(user="ben")
HERE, THERE = Place("ann"), Place("ben")

Story = Callable[["Barn"], Awaitable[None]]


class Barn:
    """Services of one server over a mill. Tasks run when the test says so."""

    def __init__(self, database: Database, home: Path, clock: Clock) -> None:
        self.home = home
        self.mill = Mill(database, clock, home)
        tokens = Tokens(database, clock.chance, open_keyring(home, clock.chance))
        self.data = Data(
            self.mill.core, home, self.mill.submitter, self.mill.control, tokens, workers=True
        )

    def blobs(self) -> set[str]:
        """Return the stored blobs."""
        root = self.home / "blobs" / "data"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    async def put(self, name: str, place: Place = HERE, **columns: Any) -> None:
        """Store a table in the place of an earlier one."""
        body = msgspec.json.encode({"data": columns, "orient": "list", "append": False})
        await self.data.datasets.write(place, name, body)

    async def run(self, task: DataTask) -> int:
        """Run the one task that waits, as an agent would; return its exit code."""
        agent = await self.mill.agent(labels={DATA_LABEL: "here"})
        assert await agent.lease() == [task.job]
        await agent.start(task.job)
        (step,) = tasks_of(msgspec.msgpack.decode(agent.holding[task.job].spec, type=JobSpec))
        done = await asyncio.to_thread(
            subprocess.run, step.argv, check=False, capture_output=True, cwd=self.home
        )
        await agent.finish(task.job, exit_code=done.returncode)
        return done.returncode

    async def sweep(self) -> None:
        """Delete what nobody needs, a moment later."""
        self.mill.clock.go(1)
        while await self.data.sweeper._sweep_blobs():
            pass


def play(url: str, home: Path, workers: Path, story: Story) -> None:
    """Run a story on fresh services in front of running workers."""
    for name in (CALLS_SOCKET, TASKS_SOCKET):
        (home / name).symlink_to(workers / name)

    async def act() -> None:
        database = open_database(url, home)
        database.start()
        try:
            barn = Barn(database, home, Clock())
            await barn.mill.open()
            await barn.data.load()
            await story(barn)
        finally:
            database.close()

    asyncio.run(act())
