"""Putting the interface together."""

from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from gristmill.dialects.job_runner.access import Access
from gristmill.dialects.job_runner.context import Shelf
from gristmill.dialects.job_runner.declared import Groups, Pools, Projects, Templates
from gristmill.dialects.job_runner.exchange import App, Scope
from gristmill.dialects.job_runner.greeter import Greeter
from gristmill.dialects.job_runner.jobs import Jobs
from gristmill.dialects.job_runner.kill_requests import KillRequests
from gristmill.dialects.job_runner.pages import Pages
from gristmill.dialects.job_runner.relay import Relay
from gristmill.dialects.job_runner.routes import Routes
from gristmill.dialects.job_runner.run_logs import RunLogs
from gristmill.dialects.job_runner.runs import RunShelf
from gristmill.dialects.job_runner.sessions import SITE, Sessions, brings_session
from gristmill.dialects.job_runner.signature import looks_signed
from gristmill.dialects.job_runner.sockets import Bind, Sockets
from gristmill.dialects.job_runner.workers import WorkerShelf
from gristmill.services.house import House


class Address(Protocol):
    """Where to listen."""

    @property
    def host(self) -> str:
        """A name or a number."""

    @property
    def port(self) -> int:
        """The port, 0 for any free one."""


class JobRunnerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may change. timezone: of the moments on the wire.

    broadcast, events: where the ZeroMQ sockets listen, None for nowhere.
    """

    timezone: ZoneInfo = ZoneInfo("UTC")
    broadcast: Address | None = None
    events: Address | None = None


class JobRunner:
    """The interface: an ASGI app for its paths, one for dashboards that follow events, sockets.

    prefixes: the paths of ``app``.
    """

    prefixes = ("/api/v1", "/api/vi", "/accounts", "/job-runner")

    def __init__(self, house: House, settings: JobRunnerSettings) -> None:
        self._settings = settings
        self.relay = Relay()
        self._sockets = Sockets(house.board, self.relay, house.chance)
        sessions = Sessions(house.web_sessions(SITE), house.users, house.chance)
        self.app: App = Routes(
            house.directory,
            Access(sessions, Greeter(house.board, house.chance)),
            Pages(sessions),
            _shelves(house),
            self.relay,
            settings.timezone,
        )

    async def open(self) -> list[str]:
        """Bind the sockets; return their addresses. Raises InvalidInputError."""
        return await self._sockets.open(
            _bind(self._settings.broadcast, "job-runner-broadcast"),
            _bind(self._settings.events, "job-runner-events"),
        )

    async def close(self) -> None:
        """Close the sockets."""
        await self._sockets.close()


def speaks_job_runner(scope: Scope) -> bool:
    """Whether a request brings this interface's kind of credentials."""
    return looks_signed(scope["headers"]) or brings_session(scope["headers"])


def _bind(address: Address | None, setting: str) -> Bind | None:
    return None if address is None else Bind(address.host, address.port, setting)


def _shelves(house: House) -> dict[str, Shelf]:
    return {
        "group": Groups(),
        "project": Projects(),
        "worker_pool": Pools(),
        "worker": WorkerShelf(house.workers),
        "job_template": Templates(),
        "job": Jobs(house.schedules),
        "run": RunShelf(house.runs, house.schedules),
        "kill_request": KillRequests(house.kills, house.runs),
        "run_log": RunLogs(house.logs, house.runs),
    }
