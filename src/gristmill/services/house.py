"""All services of one server, built once and handed to the apps."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from gristmill.containers.images import ImageStore
from gristmill.domain.clock import Chance
from gristmill.services.agents import AgentRules, Agents
from gristmill.services.data.data import Data
from gristmill.services.declarations import Declarations
from gristmill.services.events import Events
from gristmill.services.keyring import open_keyring
from gristmill.services.lost_agents import LostAgents
from gristmill.services.output_files import OutputFiles
from gristmill.services.outputs import Outputs
from gristmill.services.queue.control import Control
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.dispatch import Dispatcher
from gristmill.services.queue.glances import Glances
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.removal import Removal
from gristmill.services.queue.similar import Similar
from gristmill.services.queue.submit import Submitter
from gristmill.services.queue.timers import Housekeeping, Timers
from gristmill.services.tokens import Tokens
from gristmill.services.users import Users
from gristmill.services.waiting import pause
from gristmill.services.waits import Waits
from gristmill.store.database import Database

PAUSE_AFTER_DEFECT = 1.0

log = structlog.get_logger()


class House:
    """The services, and the loops that keep the queue moving."""

    def __init__(
        self,
        home: Path,
        database: Database,
        chance: Chance,
        *,
        rules: AgentRules | None = None,
        keep_jobs: float | None = None,
        engine: str = "none",
        data_url: str = "",
    ) -> None:
        self.home, self.database, self.chance = home, database, chance
        self.started = chance.monotonic()
        self.engine = engine
        self.core = QueueCore(database, chance, OutputFiles(home / "outputs"))
        self.registry = Registry()
        keyring = open_keyring(home, chance)
        self.tokens = Tokens(database, chance, keyring)
        self.users = Users(database)
        self.declarations = Declarations(database, keyring.box, self.tokens.forget)
        self.images = ImageStore(home / "images")
        self.submitter = Submitter(self.core)
        self.control = Control(self.core, self.registry)
        self.removal = Removal(self.core, self.registry)
        self.similar = Similar(self.core)
        self.glances = Glances(self.core)
        self.listing = Listing(self.core, self.registry)
        self.outputs = Outputs(self.core, self.registry, self.listing)
        self.events = Events(self.core)
        self.waits = Waits(self.core, self.listing)
        rules = rules or AgentRules()
        self.lost_agents = LostAgents(
            self.core,
            self.registry,
            lost_after=rules.lost_after,
            fence_after=rules.fence_after,
        )
        self.agents = Agents(self.core, self.registry, rules, self.lost_agents)
        self.dispatcher = Dispatcher(self.core, self.registry)
        self.timers = Timers(self.core)
        self.housekeeping = Housekeeping(self.core, keep_jobs=keep_jobs, keep_events=None)
        self.data = Data(
            self.core,
            home,
            self.submitter,
            self.control,
            self.tokens,
            url=data_url,
            workers=engine != "none",
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Fill the caches and start the loops."""
        await self.core.load()
        await self.lost_agents.load()
        await self.data.load()
        loops = (
            self.dispatcher.run,
            self.timers.run,
            self.lost_agents.watch,
            self.housekeeping.run,
            self.data.sweeper.run,
        )
        self._tasks = [asyncio.create_task(_keep_going(loop)) for loop in loops]

    def release(self) -> None:
        """Let everybody who waits for something go; the server stops."""
        self.core.signals.close()
        self.agents.release()
        self.outputs.release()

    async def stop(self) -> None:
        """Stop the loops; the database is closed by whoever opened it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _keep_going(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: a defect in one round must not stop all that follow."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop.failed", loop=loop.__qualname__)
            await pause(PAUSE_AFTER_DEFECT)
