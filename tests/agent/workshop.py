"""A runner of its own, fed with leases and watched until its members have ended."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import msgspec

from gristmill.agent.cgroups import detect
from gristmill.agent.ending import Ending
from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.journal import Journal
from gristmill.agent.mounts import Mounts
from gristmill.agent.network.networks import Networks
from gristmill.agent.processes import set_subreaper
from gristmill.agent.pulse import Pulses
from gristmill.agent.questions import Questions
from gristmill.agent.runner import Runner
from gristmill.agent.runtimes import Runtimes
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.slots import Keep, Scratch, Slots
from gristmill.agent.spawning import Helpers
from gristmill.agent.steps import base_environment
from gristmill.agent.usage import Sampler
from gristmill.agent.watch import Watch
from gristmill.agent.watched_containers import WatchedContainers
from gristmill.containers.images import ImageStore
from gristmill.containers.run import ContainerEngine
from gristmill.domain.clock import Chance
from gristmill.domain.job import JobSpec
from gristmill.domain.resources import node
from gristmill.protocol.messages import Finished, Held, Lease, Preparation

PATIENCE = 60.0


class LocalQuestions(Questions):
    """Answers as a server does. objects: where stored objects are; place: where outputs go."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.place = ""
        self.secrets: list[str] = []

    async def prepare(self, held: Held) -> Preparation:
        return Preparation(
            "http://mill.example", f"token-of-{held.job}", {}, self.secrets, self.objects, 7
        )

    async def places(self, held: Held, outputs: Sequence[str]) -> list[str]:
        return [f"{self.place}/{held.job}/{name}" for name in outputs]


class Workshop:
    """Use inside ``asyncio.run``: the runner reaps this process's children."""

    def __init__(
        self,
        home: Path,
        *,
        cpus: int = 2,
        keep: Keep | None = None,
        engine: ContainerEngine | None = None,
        on_host: bool = False,
        grace: float = 0.5,
        memory_used: float = 0.0,
        questions: LocalQuestions | None = None,
    ) -> None:
        set_subreaper()
        chance = Chance()
        self.home = home
        self.changed = asyncio.Event()
        (home / "outputs").mkdir(exist_ok=True)
        # Of its own: whoever ends a member looks for the node's name in every process.
        self.node = f"workshop-{uuid4().hex[:12]}"
        self.cgroups = detect(self.node)
        self.images = ImageStore(home / "images")
        self.runtimes = Runtimes(self.images, engine, on_host=on_host)
        sampler = Sampler(chance)
        self.helpers, self.questions = Helpers(), questions or LocalQuestions()
        member_helpers = MemberHelpers(self.node, self.helpers)
        self.mounts = Mounts(home / "mounts", member_helpers, chance)
        self.containers = WatchedContainers(home / "containers", member_helpers)
        self.sandboxes = Sandboxes(
            home / "sandboxes",
            runtimes=self.runtimes,
            helpers=self.helpers,
            questions=self.questions,
            chance=chance,
        )
        self.journal = Journal(home / "journal")
        self.runner = Runner(
            node=self.node,
            instance="test",
            capacity=node(cpus * 1000, 8192, 8192, 2),
            base_environment=base_environment(os.environ),
            slots=Slots(home / "slots"),
            scratch=Scratch(home / "scratch"),
            journal=self.journal,
            runtimes=self.runtimes,
            mounts=self.mounts,
            ending=Ending(sampler, self.runtimes, chance, grace),
            chance=chance,
            outputs=str(home / "outputs"),
            keep=keep or Keep(),
            helpers=self.helpers,
            sandboxes=self.sandboxes,
            containers=self.containers,
            networks=Networks(member_helpers),
            on_change=self.changed.set,
        )
        self.pulses = Pulses(sampler, chance)
        self.watch = Watch(
            self.runner,
            self.cgroups,
            sampler,
            chance,
            1024,
            self.pulses,
            lambda: memory_used,
        )
        self._jobs = 0

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.runner.reap)
        self._watching = asyncio.create_task(self.watch.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.runner.kill_all("test is over")
        await self.until(lambda: not self.runner.running)
        self._watching.cancel()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        self.journal.close()
        self.cgroups.close()
        set_subreaper(on=False)

    def lease(self, spec: JobSpec, *, shape: int = 1) -> Lease:
        """Return a lease of a new job."""
        self._jobs += 1
        raw = msgspec.Raw(msgspec.msgpack.encode(spec))
        return Lease(self._jobs, 1, 0, shape, raw, {})

    async def run(self, *specs: JobSpec) -> list[Finished]:
        """Run jobs; return their results in the order of the jobs."""
        leases = [self.lease(spec) for spec in specs]
        self.runner.accept(leases)
        wanted = {lease.job for lease in leases}
        await self.until(lambda: wanted <= {end.job for end in self.runner.finished})
        return sorted(
            (end for end in self.runner.finished if end.job in wanted), key=lambda end: end.job
        )

    async def until(self, happened: Any) -> None:
        """Return once it happened, looking after every change."""
        async with asyncio.timeout(PATIENCE):
            while not happened():
                self.changed.clear()
                await self.changed.wait()

    async def poll(self, happened: Callable[[], bool]) -> None:
        """Return once something became true that nobody tells of, such as bytes in a file."""
        async with asyncio.timeout(PATIENCE):
            while not happened():  # noqa: ASYNC110 - a file being written is no event
                await asyncio.sleep(0.02)


def run_jobs(home: Path, specs: Iterable[JobSpec], **options: Any) -> list[Finished]:
    """Run jobs in a workshop of their own; return their results."""

    async def go() -> list[Finished]:
        async with Workshop(home, **options) as workshop:
            return await workshop.run(*specs)

    return asyncio.run(go())
