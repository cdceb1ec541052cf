"""All services of one server, built once and handed to the apps."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from gristmill.containers.images import ImageStore
from gristmill.domain.clock import Chance
from gristmill.services.accounting import Accounting
from gristmill.services.agents import AgentRules, Agents
from gristmill.services.data.data import Data
from gristmill.services.declarations import Declarations
from gristmill.services.device_login import DeviceLogins
from gristmill.services.directory import Directory
from gristmill.services.events import Events
from gristmill.services.job_tokens import JobTokens
from gristmill.services.keyring import SecretBox, open_keyring
from gristmill.services.kv import KeyValues
from gristmill.services.lost_agents import LostAgents
from gristmill.services.mail import Mailer, PostOffice
from gristmill.services.metrics.metrics import Metrics
from gristmill.services.notifications import Notifications
from gristmill.services.notify import MailNotifier
from gristmill.services.objects.store import LARGEST_OBJECT, Objects
from gristmill.services.oidc import Oidc, ProviderRules
from gristmill.services.orders import Orders
from gristmill.services.output_files import OutputFiles
from gristmill.services.outputs import Outputs
from gristmill.services.preparing import Preparing
from gristmill.services.queue.control import Control
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.dispatch import Dispatcher
from gristmill.services.queue.glances import Glances
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.recent import Recent
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.removal import Removal
from gristmill.services.queue.similar import Similar
from gristmill.services.queue.submit import Submitter
from gristmill.services.queue.timers import Housekeeping, Timers
from gristmill.services.reach import Reach
from gristmill.services.schedules.access import ScheduleAccess
from gristmill.services.schedules.book import Schedules
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.declared import DeclaredFollower
from gristmill.services.schedules.follower import Follower
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.kills import Kills
from gristmill.services.schedules.log_keeping import LogKeeping
from gristmill.services.schedules.logs import Logs
from gristmill.services.schedules.rules import Notifier, ScheduleRules
from gristmill.services.schedules.runs import Runs
from gristmill.services.schedules.scheduler import Scheduler
from gristmill.services.schedules.workers import Workers
from gristmill.services.tokens import Tokens
from gristmill.services.users import Users
from gristmill.services.waiting import pause
from gristmill.services.waits import Waits
from gristmill.services.web_sessions import WebSessions
from gristmill.services.workflows.book import Workflows
from gristmill.services.workflows.mail import mail_at_end
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
        keep_events: float | None = None,
        engine: str = "none",
        largest_object: int = LARGEST_OBJECT,
        public_url: str = "",
        post: PostOffice | None = None,
        admin_mail: str = "",
        provider: ProviderRules | None = None,
        schedule_rules: ScheduleRules | None = None,
        data_url: str = "",
    ) -> None:
        self.home, self.database, self.chance = home, database, chance
        self.started = chance.monotonic()
        self.engine = engine
        keyring = open_keyring(home, chance)
        self.box = keyring.box
        self.core = QueueCore(database, chance, OutputFiles(home / "outputs"), self.box)
        self.registry = Registry()
        job_tokens = JobTokens(self.core, keyring.signing_key)
        self.oidc = Oidc(provider, chance) if provider else None
        self.tokens = Tokens(database, chance, keyring, job_tokens, self.oidc)
        self.users = Users(database)
        self.directory = Directory(database, keyring.box)
        self.declarations = Declarations(database, keyring.box, self._declared_anew)
        self.images = ImageStore(home / "images")
        self.reach = Reach(public_url)
        blobs = home / "blobs" / "objects"
        self.objects = Objects(database, chance, blobs, keyring.signing_key, largest=largest_object)
        self.kv = KeyValues(database)
        self.submitter = Submitter(self.core)
        self.control = Control(self.core, self.registry)
        self.removal = Removal(self.core, self.registry)
        self.similar = Similar(self.core)
        self.glances = Glances(self.core)
        self.listing = Listing(self.core, self.registry)
        self.recent = Recent(self.core)
        self.outputs = Outputs(self.core, self.registry, self.listing)
        self.orders = Orders(self.core, self.registry, self.listing)
        self.preparing = Preparing(
            self.core, self.registry, self.objects, self.reach, job_tokens, keyring.box
        )
        self.events = Events(self.core)
        self.waits = Waits(self.core, self.listing)
        self.workflows = Workflows(self.core, self.submitter, self.control)
        rules = rules or AgentRules()
        self.mailer = Mailer(database, chance, post, admin_mail)
        self.lost_agents = LostAgents(
            self.core,
            self.registry,
            lost_after=rules.lost_after,
            fence_after=rules.fence_after,
            tell_admins=self.mailer.tell_admins,
        )
        self.metrics = Metrics(self.core)
        self.agents = Agents(
            self.core, self.registry, rules, self.lost_agents, self.metrics.usages, self.reach
        )
        self.dispatcher = Dispatcher(self.core, self.registry)
        self.usage = Accounting(self.core)
        self.notifications = Notifications(self.core, self.mailer)
        self.core.on_workflow_end.append(mail_at_end(self.notifications))
        self.device_logins = DeviceLogins(database, chance, self.tokens, keyring.signing_key)
        self.timers = Timers(self.core)
        self.housekeeping = Housekeeping(self.core, keep_jobs=keep_jobs, keep_events=keep_events)
        admins = (admin_mail,) if admin_mail else ()
        schedule_rules = schedule_rules or ScheduleRules()
        zone = ZoneInfo(schedule_rules.zone)
        notifier = MailNotifier(self.mailer, admins, zone, lambda: self.job_base)
        self._open_schedules(schedule_rules, notifier, keyring.box)
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

    @property
    def job_base(self) -> str:
        """The base URL under which jobs reach this server, such as ``http://127.0.0.1:7070``."""
        return self.reach.for_jobs()

    def web_sessions(self, site: str) -> WebSessions:
        """Return the logins of a site that people use with a browser."""
        return WebSessions(self.database, self.chance, self.box, site)

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
        self.log_keeping = LogKeeping(core)
        self.kills = Kills(core, index)
        self.workers = Workers(core, box)
        self.workers.on_change.append(self.directory.forget)
        self.scheduler = Scheduler(core, self.workers)
        self.core.run_followers.append(Follower(core))
        self.declarations.followers.append(DeclaredFollower(core, index))

    async def start(self) -> None:
        """Fill the caches and start the loops."""
        await self.core.load()
        await self.objects.load()
        await self.lost_agents.load()
        await self.metrics.recorder.load()
        await self.scheduler.load()
        await self.data.load()
        loops = (
            self.dispatcher.run,
            self.timers.run,
            self.lost_agents.watch,
            self.housekeeping.run,
            self.metrics.recorder.run,
            self.objects.run,
            self.mailer.run,
            self.notifications.run,
            self.scheduler.run,
            self.scheduler.repeat,
            self.scheduler.ping,
            self.scheduler.watch_health,
            self.log_keeping.run,
            self.data.sweeper.run,
        )
        self._tasks = [asyncio.create_task(_keep_going(loop)) for loop in loops]

    def release(self) -> None:
        """Let everybody who waits for something go; the server stops."""
        self.core.signals.close()
        self.metrics.feed.close()
        self.agents.release()
        self.outputs.release()
        self.orders.release()

    async def stop(self) -> None:
        """Stop the loops; the database is closed by whoever opened it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.metrics.recorder.close()
        if self.oidc is not None:
            await self.oidc.close()


async def _keep_going(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: a defect in one round must not stop all that follow."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop.failed", loop=loop.__qualname__)
            await pause(PAUSE_AFTER_DEFECT)
