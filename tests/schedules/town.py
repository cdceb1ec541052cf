"""A queue with schedules, without processes: time, agents and external workers are the test's."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from structlog.testing import capture_logs

from gristmill.domain.runs import RunChange
from gristmill.domain.state import JobState
from gristmill.services.declarations import Declarations
from gristmill.services.keyring import open_keyring
from gristmill.services.schedules.book import Schedules
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.declared import DeclaredFollower
from gristmill.services.schedules.follower import Follower
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.kills import Kills
from gristmill.services.schedules.logs import Logs
from gristmill.services.schedules.pages import RunFilter, RunView
from gristmill.services.schedules.rules import ScheduleRules
from gristmill.services.schedules.runs import NewRun, Runs
from gristmill.services.schedules.scheduler import Scheduler
from gristmill.services.schedules.workers import Workers
from gristmill.store.database import Database, Transaction, open_database
from tests.services.audit import audit
from tests.services.mill import EVERYBODY, Clock, FakeAgent, Mill

T = TypeVar("T")
Story = Callable[["Town"], Awaitable[None]]

DECLARED = """
users: [{name: alice, groups: [viewers, operators]}]
pools: [{name: outside, agents: false}, {name: inside, agents: true}]
workers:
  - {name: w1, pools: [outside], api_key: k1, secret: s1}
  - {name: w2, pools: [outside], api_key: k2, secret: s2}
  - {name: stranger, pools: [], api_key: k3, secret: s3}
projects:
  - {name: etl, viewers: [viewers], operators: [operators], pools: [outside, inside]}
templates: [{name: bash, project: etl, body: "#!/bin/sh\\n{{ content|safe }}\\n"}]
"""


class Recorder:
    """A notifier that only remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def run_failed(self, tx: Transaction, run_id: int) -> None:
        assert tx.one("get_runs", ids=tx.array([run_id])) is not None
        self.told.append(("run_failed", run_id))

    def cannot_reschedule(self, tx: Transaction, schedule_id: int) -> None:
        self.told.append(("cannot_reschedule", schedule_id))

    def pool_unresponsive(self, tx: Transaction, pool_id: int) -> None:
        self.told.append(("pool_unresponsive", pool_id))


class Town(Mill):
    """A mill with schedules. Nothing happens unless the test says so."""

    def __init__(self, database: Database, clock: Clock, folder: Path, **rules: Any) -> None:
        super().__init__(database, clock, folder)
        box = open_keyring(folder, clock.chance).box
        self.recorder = Recorder()
        core = ScheduleCore(
            self.core, self.registry, self.submitter, ScheduleRules(**rules), self.recorder
        )
        index = ScheduleIndex(database)
        self.schedule_core, self.board = core, core.board
        self.schedules = Schedules(core, index)
        self.runs = Runs(core, index)
        self.logs = Logs(core, index)
        self.kills = Kills(core, index)
        self.workers = Workers(core, box)
        self.scheduler = Scheduler(core, self.workers)
        self.declarations = Declarations(database, box, lambda: None)
        self.core.run_followers.append(Follower(core))
        self.declarations.followers.append(DeclaredFollower(core, index))
        self.offers = self.board.offers()
        self.events_told = self.board.events()

    async def open(self) -> None:
        await super().open()
        await self.scheduler.load()

    async def declare(self, text: str = "") -> None:
        """Apply a file on top of what every story has."""
        await self.declarations.apply(DECLARED)
        if text:
            await self.declarations.apply(text)
        await self.settle()

    async def schedule(self, name: str = "nightly", **fields: Any) -> int:
        """Declare one schedule; return its id."""
        fields = {"project": "etl", "template": "bash", "pool": "outside", **fields}
        words = ", ".join(f"{key}: {_yaml(value)}" for key, value in fields.items())
        await self.declarations.apply(f"schedules: [{{name: {name}, {words}}}]")
        await self.settle()
        (number,) = await self.schedules.find("etl", name)
        return number

    async def settle(self) -> None:
        """Do everything that is due now."""
        await self.database.write(self.timers.act)
        await self.scheduler.round()

    async def go(self, seconds: float) -> None:
        """Let time pass, and do what is due then."""
        self.clock.go(seconds)
        await self.settle()

    async def runs_of(self, schedule: int, **wanted: Any) -> list[RunView]:
        """The runs of a schedule, in their order."""
        page = await self.runs.list(RunFilter(schedule_ids={schedule}, **wanted))
        assert page.total == len(page.items)
        return page.items

    async def only(self, schedule: int, **wanted: Any) -> RunView:
        (run,) = await self.runs_of(schedule, **wanted)
        return run

    async def waiting(self, schedule: int) -> list[float]:
        """When the runs of a schedule that nobody has claimed are due, from now."""
        runs = await self.runs_of(schedule, state="scheduled")
        return [run.due_at - self.clock.wall for run in runs]

    async def by_hand(self, schedule: int, **fields: Any) -> int:
        number = await self.runs.create(
            NewRun(schedule_id=schedule, due_at=self.clock.wall, manual=True, **fields)
        )
        await self.settle()
        return number

    async def worker(self, name: str) -> int:
        def work(tx: Transaction) -> int:
            return int(tx.must("find_worker", name=name)[0])

        return await self.database.read(work)

    async def claim(self, run: int, name: str = "w1") -> RunView:
        worker = await self.worker(name)
        change = RunChange(enqueued_at=self.clock.wall, worker_id=worker)
        return await self.runs.change(run, change, worker)

    async def begin(self, run: int, name: str = "w1") -> RunView:
        await self.claim(run, name)
        return await self.begin_claimed(run, name)

    async def begin_claimed(self, run: int, name: str = "w1") -> RunView:
        worker = await self.worker(name)
        await self.runs.change(run, RunChange(started_at=self.clock.wall), worker)
        return await self.runs.change(run, RunChange(pid=4000 + run), worker)

    async def end(self, run: int, name: str = "w1", *, success: bool | None = True) -> RunView:
        worker = await self.worker(name)
        change = RunChange(returned_at=self.clock.wall, success=success)
        view = await self.runs.change(run, change, worker)
        await self.settle()
        return view

    async def do(self, run: int, name: str = "w1", *, success: bool | None = True) -> RunView:
        """Claim, begin and end a run."""
        await self.begin(run, name)
        self.clock.go(1)
        return await self.end(run, name, success=success)

    async def work_one(self, agent: FakeAgent, **how: Any) -> None:
        """Have one of our agents do the one run there is for it."""
        (run,) = await agent.lease()
        await agent.start(run)
        self.clock.go(1)
        await agent.finish(run, **how)
        await self.settle()

    def calls(self) -> list[tuple[str, str, int | None]]:
        """What was called out to workers since the last look."""
        return [(offer.kind, offer.api_key, offer.number) for offer in _drain(self.offers)]

    def happened(self) -> list[tuple[str, str, int]]:
        """What onlookers were told since the last look."""
        return [(one.kind, one.event, one.number) for one in _drain(self.events_told)]

    async def job(self, run: int) -> JobState:
        return (await self.listing.get(EVERYBODY, run)).row.head.state


def _drain(queue: "asyncio.Queue[T]") -> "list[T]":
    return [queue.get_nowait() for _ in range(queue.qsize())]


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def play(url: str, folder: Path, story: Story, **rules: Any) -> None:
    """Run a story on a fresh town, then audit the tables."""

    async def act() -> None:
        database = open_database(url, folder)
        database.start()
        try:
            town = Town(database, Clock(), folder, **rules)
            await town.open()
            await town.declare()
            await story(town)
        finally:
            database.close()

    with capture_logs() as said:
        asyncio.run(act())
    # The scheduler goes on when one schedule fails it; a test must not.
    assert [line for line in said if line["log_level"] == "error"] == []
    audit(url)


def when(clock: Clock, seconds: float = 0) -> str:
    """A time that a file can name, from now."""
    from gristmill.domain.intervals import from_epoch

    return f'"{from_epoch(clock.wall + seconds).isoformat()}"'
