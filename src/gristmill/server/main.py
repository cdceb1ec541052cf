"""The life of a server: claim the home, open the store, start the loops, serve, stop."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence

import msgspec
import structlog
import uvloop

from gristmill import __version__
from gristmill.agent.leftovers import kill_leftovers
from gristmill.dialects.job_runner.app import (
    JobRunner,
    JobRunnerSettings,
    speaks_job_runner,
)
from gristmill.dialects.mlbench.app import create_mlbench_app
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.dialects.omega_ml.app import create_omega_ml_app
from gristmill.dialects.omega_ml.errors import error_body as omega_ml_error
from gristmill.dialects.omega_ml.rules import read_rules
from gristmill.dialects.omega_ml.settings import OmegaSettings
from gristmill.dialects.prominence.app import ProminenceSettings, create_prominence_app
from gristmill.dialects.prominence.exchange import error_body as prominence_error
from gristmill.dialects.wr.app import WrSettings, create_wr_app
from gristmill.domain.clock import Chance
from gristmill.domain.errors import GristmillError
from gristmill.engine.local import LocalEngine
from gristmill.native.agent_door import AgentDoor
from gristmill.native.app import create_native_app, openapi_document
from gristmill.native.blob_door import BlobDoor
from gristmill.server.asgi import App
from gristmill.server.certificates import ensure_certificates
from gristmill.server.gateway import (
    OMEGA_ML_PREFIXES,
    PROMINENCE_PREFIXES,
    Gateway,
    Route,
    mlbench_routes,
    native_routes,
    omega_ml_routes,
    prominence_routes,
)
from gristmill.server.guard import Guard
from gristmill.server.head import AnswerHead
from gristmill.server.limits import LimitRequests, RequestLimits
from gristmill.server.listeners import Addresses, Certificate, Doors, Listeners
from gristmill.server.logging import configure_logging
from gristmill.server.protocol import ConnectionLimits
from gristmill.server.server_file import (
    HomeLock,
    ServerFile,
    remove_server_file,
    write_server_file,
)
from gristmill.server.setting_sections import (
    JobRunnerSection,
    MlbenchSection,
    OidcSection,
    OmegaSection,
    ProminenceSection,
    WrSection,
)
from gristmill.server.settings import Settings
from gristmill.services.agents import AgentRules
from gristmill.services.house import House
from gristmill.services.mail import PostOffice
from gristmill.services.objects.signing import PATH as BLOBS
from gristmill.services.oidc import ProviderRules
from gristmill.services.schedules.rules import ScheduleRules
from gristmill.store.database import Database, open_database
from gristmill.web.app import create_web_app

STOP_GRACE = 5.0
"""Seconds that requests in progress get when the server stops."""

AGENT_STOP_GRACE = 20.0
THREAD_SWITCH = 0.0005
"""Seconds; the writer thread must get its turn while the event loop is busy."""

GARBAGE_THRESHOLDS = (50_000, 20, 20)
"""Requests with 100,000 jobs make millions of objects and no cycles: look for some rarely."""

MB = 1 << 20
HTTPS_ONLY = frozenset({"https"})
WEBSOCKETS = frozenset({b"/job-runner/ws"})

log = structlog.get_logger()


def run(settings: Settings) -> int:
    """Serve until told to stop; return the exit code."""
    configure_logging(settings.log_format, settings.log_level)
    try:
        lock = HomeLock(settings.home)
    except GristmillError as error:
        return _refuse(error)
    try:
        sys.setswitchinterval(THREAD_SWITCH)
        return uvloop.run(Server(settings, Chance()).run())
    except GristmillError as error:
        return _refuse(error)
    finally:
        lock.release()


def _refuse(error: GristmillError) -> int:
    print(f"gristmill: {error}", file=sys.stderr)
    return 2


def _wr_settings(section: WrSection) -> WrSettings:
    return WrSettings(
        upload_dir=section.upload_dir,
        retry_delay=section.retry_delay,
        retry_max_delay=section.retry_max_delay,
        retry_jitter=section.retry_jitter,
    )


def _mlbench_settings(section: MlbenchSection) -> MlbenchSettings:
    return msgspec.convert(msgspec.structs.asdict(section), MlbenchSettings)


def _prominence_settings(section: ProminenceSection) -> ProminenceSettings:
    return ProminenceSettings(
        data=section.data, kv=section.kv, exec=section.exec, snapshots=section.snapshots
    )


def _post_office(settings: Settings) -> PostOffice | None:
    if settings.smtp is None:
        return None
    return PostOffice(
        host=settings.smtp.host,
        port=settings.smtp.port,
        sender=settings.mail_from or f"gristmill@{socket.getfqdn()}",
    )


def _provider(section: OidcSection) -> ProviderRules | None:
    if not section.provider:
        return None
    return ProviderRules(
        issuer=section.provider,
        username_claim=section.username_claim,
        entitlements=section.entitlements,
    )


def _schedule_rules(section: JobRunnerSection) -> ScheduleRules:
    return ScheduleRules(
        zone=section.timezone.key,
        health_interval=section.health_interval,
        ping_interval=section.health_interval,
        keep_logs_for=section.keep_logs_for,
        keep_logs=section.keep_logs,
    )


def _job_runner_settings(section: JobRunnerSection) -> JobRunnerSettings:
    return JobRunnerSettings(
        timezone=section.timezone, broadcast=section.broadcast, events=section.events
    )


def _omega_settings(section: OmegaSection) -> OmegaSettings:
    values = msgspec.structs.asdict(section)
    if section.rules is not None:
        values["rule"] = read_rules(section.rules)
    values["rules"] = values.pop("rule")
    return msgspec.convert(values, OmegaSettings)


class Server:
    """One server process."""

    def __init__(self, settings: Settings, chance: Chance) -> None:
        self._settings, self._chance = settings, chance
        home = settings.home
        self._database: Database = open_database(settings.database, home)
        self._database.start()
        self._house = House(
            home,
            self._database,
            chance,
            rules=AgentRules(heartbeat=settings.heartbeat, lost_after=settings.lost_after),
            keep_jobs=settings.retention_finished,
            keep_events=settings.retention_events,
            engine=settings.engine,
            largest_object=settings.objects.max_size * MB,
            public_url=settings.public_url,
            post=_post_office(settings),
            admin_mail=settings.admin_mail,
            provider=_provider(settings.oidc),
            schedule_rules=_schedule_rules(settings.job_runner),
            data_url=settings.data.url,
        )
        self._job_runner = JobRunner(self._house, _job_runner_settings(settings.job_runner))
        self._listeners = Listeners(
            self._app(), self._doors(), self._connection_limits(), chance, WEBSOCKETS
        )
        self._websocket: Listeners | None = None
        self._engine = self._local_engine() if settings.engine == "local" else None

    def _app(self) -> App:
        settings = self._settings
        native: App = AnswerHead(create_native_app(self._house))  # type: ignore[arg-type]
        web: App = AnswerHead(create_web_app(self._house, openapi_document))  # type: ignore[arg-type]
        routes = [Route("/agent", AgentDoor(self._house))]
        routes.append(Route(BLOBS, BlobDoor(self._house)))
        wr = create_wr_app(self._house, _wr_settings(settings.wr))
        routes += [Route(prefix, wr, HTTPS_ONLY) for prefix in ("/rest", "/wr")]
        mlbench = create_mlbench_app(self._house, _mlbench_settings(settings.mlbench))
        routes += mlbench_routes(mlbench)
        prominence = create_prominence_app(self._house, _prominence_settings(settings.prominence))
        routes += prominence_routes(prominence)
        job_runner = self._job_runner
        # Where another interface has this path too, it gets what is not signed as Job-Runner's.
        routes.append(Route("/api/v1/job", job_runner.app, claims=speaks_job_runner))
        routes += [Route(prefix, job_runner.app) for prefix in job_runner.prefixes]
        routes += omega_ml_routes(create_omega_ml_app(self._house, _omega_settings(settings.omega)))
        routes += [Route(prefix, web) for prefix in ("/", "/ui", "/docs")]
        routes += native_routes(native)
        limits = RequestLimits(
            max_body=settings.max_body * MB,
            max_requests=settings.max_requests,
            body_timeout=settings.body_timeout,
            max_body_below={BLOBS: settings.objects.max_size * MB},
            shapes=dict.fromkeys(PROMINENCE_PREFIXES, prominence_error)
            | dict.fromkeys(OMEGA_ML_PREFIXES, omega_ml_error),
        )
        limited = LimitRequests(Gateway(routes), limits)
        return Guard(limited, self._chance, access_log=settings.access_log)

    def _doors(self) -> Doors:
        settings = self._settings
        certificate = None
        if settings.https is not None:
            files = ensure_certificates(settings.home, self._chance)
            certificate = Certificate(files.cert, files.key)
        return Doors(
            http=settings.http,
            https=settings.https,
            certificate=certificate,
            socket=settings.home / "agent.sock",
        )

    def _connection_limits(self) -> ConnectionLimits:
        settings = self._settings
        return ConnectionLimits(
            max_header=settings.max_header,
            max_connections=settings.max_connections,
            header_timeout=settings.header_timeout,
            keep_alive=settings.keep_alive,
        )

    def _local_engine(self) -> LocalEngine:
        settings = self._settings
        command = [sys.executable, "-m", "gristmill.agent", "--home", str(settings.home)]
        command += ["--container-engine", settings.container_engine]
        agent = settings.agent
        command += ["--linger", f"{agent.linger}s", "--grace", f"{agent.grace}s"]
        command += ["--output-head", str(agent.output_head)]
        command += ["--output-tail", str(agent.output_tail)]
        command += ["--output-limit", f"{agent.output_limit}M"]
        command += [] if agent.bandwidth else ["--no-bandwidth"]
        data = settings.data
        command += ["--data-workers", str(data.workers or 0)]
        command += ["--data-memory", f"{data.worker_memory}M"]
        command += ["--data-limit", f"{data.call_limit}s", "--data-idle", f"{data.idle}s"]
        if settings.agent.cpus is not None:
            command += ["--cpus", str(settings.agent.cpus)]
        if settings.agent.memory is not None:
            command += ["--memory", f"{settings.agent.memory}M"]
        return LocalEngine(settings.home, command, self._agent_died, self._chance, dict(os.environ))

    async def _agent_died(self, node: str) -> None:
        leftovers = await asyncio.to_thread(kill_leftovers, node, lambda: False, self._chance)
        if leftovers:
            log.warning("agent.leftovers_ended", node=node, processes=len(leftovers))
        await self._house.lost_agents.node_died(node)

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        try:
            await self._house.start()
            addresses = await self._listeners.open()
            self._house.reach.listens_on(addresses.http or addresses.https or "")
            more = [*await self._job_runner.open(), *await self._open_websocket()]
            if self._engine is not None:
                await self._engine.start()
            self._announce(addresses, more)
            # What exists now lives as long as the server: never look through it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE_THRESHOLDS)
            await stopping.wait()
            log.info("server.stopping")
            await self._stop()
        finally:
            self._database.close()
        return 0

    async def _open_websocket(self) -> list[str]:
        address = self._settings.job_runner.websocket
        if address is None:
            return []
        self._websocket = Listeners(
            self._job_runner.relay,
            Doors(http=address),
            self._connection_limits(),
            self._chance,
            websockets=None,
        )
        url = (await self._websocket.open()).http or ""
        return [url.replace("http", "ws", 1)]

    def _announce(self, addresses: Addresses, more: Sequence[str]) -> None:
        home = self._settings.home
        note = ServerFile(
            pid=os.getpid(),
            http=addresses.http,
            https=addresses.https,
            version=__version__,
            socket=addresses.socket,
        )
        write_server_file(home, note)
        for url in (addresses.http, addresses.https, *more):
            if url is not None:
                print(f"Gristmill {__version__} listens on {url}", flush=True)
        print(f"The administrator's token is in {home / 'client.token'}", flush=True)

    async def _stop(self) -> None:
        """Stop taking work; what runs is left to the agent unless it is to be stopped too."""
        if self._settings.stop_jobs:
            self._house.agents.end_everything()
        if self._engine is not None:
            idle = not await self._house.agents.holds_jobs()
            await self._engine.stop(
                stop_agent=idle or self._settings.stop_jobs, grace=AGENT_STOP_GRACE
            )
        closing = asyncio.create_task(self._listeners.stop(STOP_GRACE))
        # The doors close first, so that whom we send away does not come back.
        await asyncio.sleep(0)
        self._house.release()
        await closing
        await self._job_runner.close()
        if self._websocket is not None:
            await self._websocket.stop(0)
        await self._house.stop()
        remove_server_file(self._settings.home)
