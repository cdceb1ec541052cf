"""All services of one server, built once and handed to the apps."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from gristmill.containers.images import ImageStore
from gristmill.domain.clock import Chance
from gristmill.services.agents import AgentRules, Agents
from gristmill.services.declarations import Declarations
from gristmill.services.directory import Directory
from gristmill.services.events import Events
from gristmill.services.keyring import SecretBox, open_keyring
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
from gristmill.services.schedules.access import ScheduleAccess
from gristmill.services.schedules.book import Schedules
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.declared import DeclaredFollower
from gristmill.services.schedules.follower import Follower
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.kills import Kills
from gristmill.services.schedules.logs import Logs
from gristmill.services.schedules.rules import Notifier, ScheduleRules, Silent
from gristmill.services.schedules.runs import Runs
from gristmill.services.schedules.scheduler import Scheduler
from gristmill.services.schedules.workers import Workers
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
        schedule_rules: ScheduleRules | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.home, self.database, self.chance = home, database, chance
        self.started = chance.monotonic()
        self.engine = engine
        self.core = QueueCore(database, chance, OutputFiles(home / "outputs"))
        self.registry = Registry()
        keyring = open_keyring(home, chance)
        self.tokens = Tokens(database, chance, keyring)
        self.users = Users(database)
        self.directory = Directory(database, keyring.box)
        self.declarations = Declarations(database, keyring.box, self._declared_anew)
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
        self._open_schedules(schedule_rules or ScheduleRules(), notifier or Silent(), keyring.box)
        self._tasks: list[asyncio.Task[None]] = []

    def _declared_anew(self) -> None:
        self.tokens.forget()
        self.directory.forget()

    def _open_schedules(self, rules: ScheduleRules, notifier: Notifier, box: SecretBox) -> None:
        core = ScheduleCore(self.core, self.registry, self.submitter, rules, notifier)
        index = ScheduleIndex(self.database)
        self.schedule_core, self.board = core, core.board
        self.schedules = Schedules(core, index)
        self.schedule_access = ScheduleAccess(self.database, self.schedules)
        self.runs = Runs(core, index)
        self.logs = Logs(core, index)
        self.kills = Kills(core, index)
        self.workers = Workers(core, box)
        self.workers.on_change.append(self.directory.forget)
        self.scheduler = Scheduler(core, self.workers)
        self.core.run_followers.append(Follower(core))
        self.declarations.followers.append(DeclaredFollower(core, index))

    async def start(self) -> None:
        """Fill the caches and start the loops."""
        await self.core.load()
        await self.lost_agents.load()
        await self.scheduler.load()
        loops = (
            self.dispatcher.run,
            self.timers.run,
            self.lost_agents.watch,
            self.housekeeping.run,
            self.scheduler.run,
            self.scheduler.repeat,
            self.scheduler.ping,
            self.scheduler.watch_health,
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
