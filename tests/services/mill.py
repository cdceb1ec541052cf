"""A queue without processes: every service in this process, agents played by the test."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from gristmill.domain.clock import Chance
from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import ADMIN, ADMIN_USER, Identity
from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import NON_ZERO_EXIT
from gristmill.domain.resources import Capacity, node
from gristmill.domain.state import JobState
from gristmill.protocol.messages import (
    PROTOCOL_VERSION,
    Finished,
    Held,
    Lease,
    LeaseReply,
    LeaseRequest,
    Output,
    Register,
    Report,
    Started,
)
from gristmill.services.agents import AgentRules, Agents
from gristmill.services.events import Events
from gristmill.services.lost_agents import LostAgents
from gristmill.services.metrics.metrics import Metrics
from gristmill.services.output_files import OutputFiles
from gristmill.services.outputs import Outputs
from gristmill.services.queue.control import Changed, Control
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.dispatch import Dispatcher
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.submit import Submission, Submitter
from gristmill.services.queue.timers import Housekeeping, Timers
from gristmill.services.reach import Reach
from gristmill.services.workflows.book import Workflows
from gristmill.store.database import Database, open_database
from tests.services.audit import audit

EVERYBODY = Identity(user=ADMIN_USER, scopes=frozenset({ADMIN}), admin=True)
ANN, BEN = Identity(user="ann"), Identity(user="ben")
RULES = AgentRules(heartbeat=15.0, lost_after=60.0, fence_after=600.0)

Story = Callable[["Mill"], Awaitable[None]]


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 5_000.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    @property
    def chance(self) -> Chance:
        return Chance(lambda: self.wall, lambda: self.steady, random=Random(7))


class Mill:
    """The services of one server on one database. Nothing happens unless the test says so."""

    def __init__(
        self, database: Database, clock: Clock, folder: Path, *, keep_jobs: float | None = None
    ) -> None:
        self.database, self.clock, self.folder = database, clock, folder
        self.core = QueueCore(database, clock.chance, OutputFiles(folder / "outputs"))
        self.registry = Registry()
        self.submitter = Submitter(self.core)
        self.control = Control(self.core, self.registry)
        self.workflows = Workflows(self.core, self.submitter, self.control)
        self.listing = Listing(self.core, self.registry)
        self.outputs = Outputs(self.core, self.registry, self.listing)
        self.events = Events(self.core)
        self.lost_agents = LostAgents(
            self.core,
            self.registry,
            lost_after=RULES.lost_after,
            fence_after=RULES.fence_after,
        )
        self.metrics = Metrics(self.core)
        self.agents = Agents(
            self.core, self.registry, RULES, self.lost_agents, self.metrics.usages, Reach()
        )
        self.dispatcher = Dispatcher(self.core, self.registry)
        self.timers = Timers(self.core)
        self.housekeeping = Housekeeping(self.core, keep_jobs=keep_jobs, keep_events=None)

    async def open(self) -> None:
        """Do what a starting server does."""
        await self.core.load()
        await self.lost_agents.load()
        await self.metrics.recorder.load()

    async def submit(
        self,
        *specs: JobSpec,
        who: Identity = ANN,
        key: str | None = None,
        dialect: Dialect = Dialect.NATIVE,
    ) -> list[int]:
        done = await self.submitter.submit(
            Submission(specs, who.user, dialect, idempotency_key=key, admin=who.admin)
        )
        return done.ids

    async def one(self, **fields: Any) -> int:
        """Submit one job."""
        (job,) = await self.submit(spec(**fields))
        return job

    async def state(self, job: int) -> JobState:
        return (await self.listing.get(EVERYBODY, job)).row.head.state

    async def states(self, jobs: Iterable[int]) -> list[JobState]:
        return [await self.state(job) for job in jobs]

    async def why(self, job: int) -> str:
        return await self.listing.why(await self.listing.get(EVERYBODY, job))

    async def cancel(self, *jobs: int) -> Changed:
        return await self.control.cancel(EVERYBODY, jobs)

    async def retry(self, *jobs: int) -> Changed:
        return await self.control.retry(EVERYBODY, jobs)

    async def after(self, seconds: float) -> float | None:
        """Let time pass and do what is due; return when the next thing is."""
        self.clock.go(seconds)
        return await self.database.write(self.timers.act)

    async def ask(self, *agents: "FakeAgent") -> None:
        """Have agents wait for work at the same time, and lease once."""
        asking = [asyncio.create_task(agent.wait_for_work()) for agent in agents]
        # Once around the loop, every request waits or has been answered.
        await asyncio.sleep(0)
        await self.dispatcher.round()
        for agent in agents:
            live = self.registry.find(agent.number)
            if live is not None:
                self.registry.answer(live, [])
        await asyncio.gather(*asking)

    async def agent(self, name: str = "n1", **about: Any) -> "FakeAgent":
        agent = FakeAgent(self, name, **about)
        await agent.register()
        return agent


class FakeAgent:
    """Speaks as an agent does, and keeps what it was leased."""

    def __init__(
        self,
        mill: Mill,
        name: str,
        *,
        cpus: float = 4,
        memory: int = 65_536,
        disk: int = 0,
        gpus: int = 0,
        pools: Iterable[str] = (),
        labels: dict[str, str] | None = None,
        runtimes: Iterable[str] = ("process",),
    ) -> None:
        self.mill, self.name = mill, name
        self.capacity = node(round(cpus * 1000), memory, disk, gpus)
        self.pools, self.labels, self.runtimes = list(pools), labels or {}, list(runtimes)
        self.number = 0
        self.requests = 0
        self.lives = 1
        self.holding: dict[int, Lease] = {}
        self.hot: dict[int, int] = {}
        self.heard = LeaseReply([], [], [])

    @property
    def instance(self) -> str:
        return f"{self.name}/{self.lives}"

    @property
    def held(self) -> list[Held]:
        return [Held(lease.job, lease.attempt, lease.rank) for lease in self.holding.values()]

    @property
    def free(self) -> Capacity:
        free = self.capacity.copy()
        for lease in self.holding.values():
            need = self.mill.core.shapes.by_id[lease.shape].need
            if free.fits(need):
                free.take(need)
        return free

    async def register(self, *, ended: Iterable[Held] = ()) -> list[Held]:
        """Introduce itself with what it holds; return what it must drop."""
        capacity = self.capacity.copy()
        answer = await self.mill.agents.register(
            Register(
                PROTOCOL_VERSION, self.name, self.instance, f"{self.name}.host", self.name, "boot",
                100, 1.0, True, capacity, self.labels, self.pools, self.runtimes, [], self.held,
                list(ended),
            )
        )  # fmt: skip
        self.number = answer.agent
        for gone in answer.drop:
            self.forget(gone)
        return answer.drop

    async def die(self) -> None:
        """Begin a new life that knows nothing."""
        self.lives += 1
        self.holding.clear()
        self.hot.clear()

    def forget(self, held: Held) -> None:
        if held.job in self.holding and self.holding[held.job].attempt == held.attempt:
            del self.holding[held.job]

    async def ask(self, *, again: bool = False) -> LeaseReply:
        """Ask for work once: one round of leasing, and whatever was waiting to be said."""
        self.requests -= again
        await self.mill.ask(self)
        return self.heard

    async def wait_for_work(self) -> None:
        """Have a request for work wait at the server until it is answered."""
        self.requests += 1
        self.heard = await self.mill.agents.lease(
            LeaseRequest(self.number, self.instance, self.requests, self.free, dict(self.hot), 30.0)
        )
        for lease in self.heard.leases:
            self.holding[lease.job] = lease

    async def lease(self) -> list[int]:
        """Ask for work; return the jobs that came."""
        return [lease.job for lease in (await self.ask()).leases]

    async def tell(
        self,
        *,
        started: Iterable[Started] = (),
        finished: Iterable[Finished] = (),
        returned: Iterable[Held] = (),
    ) -> list[Held]:
        """Report; return what must be dropped."""
        reply = await self.mill.agents.report(
            Report(
                self.number, self.instance, list(started), list(finished), 0, self.free,
                dict(self.hot), list(returned),
            )
        )  # fmt: skip
        return reply.drop

    def start_of(self, job: int) -> Started:
        lease = self.holding[job]
        return Started(
            job, lease.attempt, lease.rank, self.mill.clock.wall, 4_000 + job, f"/somewhere/{job}"
        )

    def end_of(
        self,
        job: int,
        *,
        exit_code: int | None = 0,
        reason: str = NON_ZERO_EXIT,
        stdout: bytes = b"",
    ) -> Finished:
        lease, now = self.holding[job], self.mill.clock.wall
        good = exit_code == 0
        return Finished(
            job, lease.attempt, lease.rank, lease.shape, good, exit_code, "" if good else reason,
            now - 1, now, 4_000 + job, f"/somewhere/{job}", 12, 0.5, [],
            Output(len(stdout), stdout) if stdout else None,
        )  # fmt: skip

    async def start(self, *jobs: int) -> list[Held]:
        return await self.tell(started=[self.start_of(job) for job in jobs])

    async def finish(self, *jobs: int, **how: Any) -> list[Held]:
        ends = [self.end_of(job, **how) for job in jobs]
        for job in jobs:
            del self.holding[job]
        return await self.tell(finished=ends)

    async def give_back(self, *jobs: int) -> None:
        back = [Held(job, self.holding[job].attempt, self.holding[job].rank) for job in jobs]
        for job in jobs:
            del self.holding[job]
        await self.tell(returned=back)

    async def work(self, *, most: int = 100_000, **how: Any) -> list[int]:
        """Run whatever comes until nothing does; return the jobs in the order they came."""
        ran: list[int] = []
        while len(ran) < most and (jobs := await self.lease()):
            await self.start(*jobs)
            await self.finish(*jobs, **how)
            ran += jobs
        return ran


def spec(command: str | None = "true", *, cpus: float = 1, **fields: Any) -> JobSpec:
    """A small job; fields as in JobSpec, those of resources among them."""
    wishes: dict[str, Any] = {"cpus": cpus, "memory": 0}
    for name in ("memory", "disk", "gpus", "nodes", "walltime"):
        if name in fields:
            wishes[name] = fields.pop(name)
    return msgspec.convert({"command": command, "resources": wishes, **fields}, JobSpec)


def play(url: str, folder: Path, story: Story, **settings: Any) -> None:
    """Run a story on a fresh set of services, then audit the tables."""

    async def act() -> None:
        database = open_database(url, folder)
        database.start()
        try:
            mill = Mill(database, Clock(), folder, **settings)
            await mill.open()
            await story(mill)
        finally:
            database.close()

    asyncio.run(act())
    audit(url)
