"""The doors of the server: HTTP, HTTPS, and a socket file for agents on this machine.

They share one event loop and one app. uvicorn's protocol serves each connection; its ``Server``
is not used, because that takes the process's signals and wakes ten times a second when idle.
"""

import asyncio
import os
import resource
import socket
import ssl
import stat
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.server.asgi import App
from gristmill.server.protocol import (
    NO_WEBSOCKETS,
    ConnectionLimits,
    GuardedProtocol,
    WebSocketPaths,
)
from gristmill.server.setting_kinds import Address

log = structlog.get_logger()

BACKLOG = 2048
LONGEST_SOCKET_PATH = 107
SPARE_FILES = 128
"""Open files kept back from clients, for the database, logs and job output."""
LOCAL_CONNECTIONS = 10_000
LARGEST_WEBSOCKET_MESSAGE = 65_536
"""Bytes from a client; what servers send is not limited."""


class Certificate(NamedTuple):
    """Files in PEM: the server's certificate with its chain, and its key."""

    chain: Path
    key: Path


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen; None is nowhere. certificate: needed for https."""

    http: Address | None = None
    https: Address | None = None
    certificate: Certificate | None = None
    socket: Path | None = None


class Addresses(msgspec.Struct, frozen=True):
    """Where the server can be reached: URLs, and the path of the agents' socket."""

    http: str | None
    https: str | None
    socket: str | None


class _Door(NamedTuple):
    name: str
    socket: socket.socket
    context: ssl.SSLContext | None


class Listeners:
    """Open doors. ``stopping`` is also in every scope's state, for streams that could go on."""

    def __init__(
        self,
        app: App,
        doors: Doors,
        limits: ConnectionLimits,
        chance: Chance,
        websockets: WebSocketPaths = NO_WEBSOCKETS,
    ) -> None:
        self._app = app
        self._websockets = websockets
        self._doors = doors
        self._chance = chance
        self._limits = _affordable(limits)
        self._public = ServerState()
        self._local = ServerState()
        self._servers: list[asyncio.Server] = []
        self._keeper: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()
        self.addresses = Addresses(None, None, None)

    async def open(self) -> Addresses:
        """Bind every door, then serve; return where.

        Raises InvalidInputError when an address or certificate will not do; nothing is open then.
        """
        bound = _bind(self._doors)
        for door in bound:
            self._servers.append(await self._serve(door))
        self._keeper = asyncio.create_task(self._keep_time())
        urls = {door.name: _url(door) for door in bound if door.name != "unix"}
        path = self._doors.socket
        self.addresses = Addresses(
            urls.get("http"), urls.get("https"), None if path is None else str(path)
        )
        return self.addresses

    async def stop(self, grace: float) -> None:
        """Take no more requests; give those in progress grace seconds, then cut them off."""
        self.stopping.set()
        for server in self._servers:
            server.close()
        if self._doors.socket is not None:
            self._doors.socket.unlink(missing_ok=True)
        for connection in self._connections():
            connection.shutdown()
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        while (tasks := self._tasks()) and (left := until - loop.time()) > 0:
            await asyncio.wait(tasks, timeout=left)
        await self._cut_off(max(0.0, until - loop.time()))
        if self._keeper is not None:
            self._keeper.cancel()

    async def _cut_off(self, left: float) -> None:
        """Abort what goes on; let answers that are complete arrive within what is left of time."""
        connections = self._connections()
        for connection in connections:
            if connection.idle():
                connection.transport.close()
            else:
                connection.transport.abort()
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if connections:
            closing = [asyncio.create_task(connection.gone.wait()) for connection in connections]
            await asyncio.wait(closing, timeout=left)
            for waiter in closing:
                waiter.cancel()

    def _connections(self) -> list[GuardedProtocol]:
        every = [*self._public.connections, *self._local.connections]
        return [connection for connection in every if isinstance(connection, GuardedProtocol)]

    def _tasks(self) -> set["asyncio.Task[None]"]:
        return self._public.tasks | self._local.tasks

    async def _serve(self, door: _Door) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        config = _configuration(self._app, self._limits.keep_alive)
        app_state: dict[str, Any] = {"listener": door.name, "stopping": self.stopping}
        state, limits = self._public, self._limits
        if door.name == "unix":
            state = self._local
            limits = msgspec.structs.replace(limits, max_connections=LOCAL_CONNECTIONS)

        def connect() -> GuardedProtocol:
            return GuardedProtocol(config, state, app_state, limits, loop, self._websockets)

        patience = self._limits.header_timeout if door.context else None
        return await loop.create_server(
            connect,
            sock=door.socket,
            ssl=door.context,
            backlog=BACKLOG,
            ssl_handshake_timeout=patience,
        )

    async def _keep_time(self) -> None:
        """Each second write the Date header anew and cut off connections past their time."""
        loop = asyncio.get_running_loop()
        pause = min(1.0, self._limits.header_timeout / 4, self._limits.keep_alive / 4)
        while True:
            date = formatdate(self._chance.now(), usegmt=True).encode("ascii")
            for state in (self._public, self._local):
                state.default_headers = [(b"date", date)]
            for connection in self._connections():
                connection.expire(loop.time())
            await asyncio.sleep(pause)


def _configuration(app: App, keep_alive: float) -> Config:
    config = Config(
        app,
        interface="asgi3",
        lifespan="off",
        ws="wsproto",
        ws_max_size=LARGEST_WEBSOCKET_MESSAGE,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=max(1, round(keep_alive)),
    )
    config.load()
    return config


def _affordable(limits: ConnectionLimits) -> ConnectionLimits:
    """Lower the number of connections to what the limit on open files can bear."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    bearable = max(16, files - SPARE_FILES)
    if files == resource.RLIM_INFINITY or limits.max_connections <= bearable:
        return limits
    log.warning("listeners.fewer_connections", open_files=files, max_connections=bearable)
    return msgspec.structs.replace(limits, max_connections=bearable)


def _bind(doors: Doors) -> list[_Door]:
    bound: list[_Door] = []
    try:
        if doors.https is not None:
            context = _tls_context(doors.certificate)
            bound.append(_Door("https", _bind_address(doors.https, "https"), context))
        if doors.http is not None:
            bound.append(_Door("http", _bind_address(doors.http, "http"), None))
        if doors.socket is not None:
            bound.append(_Door("unix", _bind_path(doors.socket), None))
    except BaseException:
        for door in bound:
            door.socket.close()
        raise
    return bound


def _bind_address(address: Address, name: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # localhost has two addresses; IPv4 is the one that every client tries.
        family, _, _, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        both = family == socket.AF_INET6 and address.host == "::"
        return socket.create_server(place[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise InvalidInputError(
            f"cannot listen on {address} (--{name}): {error.strerror or error}; choose another "
            "address, or port 0 for any free one",
            name,
        ) from error


def _bind_path(path: Path) -> socket.socket:
    """Bind a socket file that only its owner may use; whoever holds the home may replace it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        path.unlink(missing_ok=True)
        # The kernel takes short paths only, and homes can be deep.
        fits = len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
        listener.bind(str(path) if fits else f"/proc/self/fd/{folder}/{path.name}")
        # Nobody can connect before listen(), so there is no moment with a wider mode.
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InvalidInputError(
            f"cannot open the agents' socket {path}: {error.strerror or error}; "
            "choose another --home",
            "home",
        ) from error
    finally:
        os.close(folder)
    return listener


def _tls_context(certificate: Certificate | None) -> ssl.SSLContext:
    if certificate is None:
        raise InvalidInputError("--https needs a certificate", "https")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate.chain, certificate.key)
    except OSError as error:
        raise InvalidInputError(
            f"cannot use the certificate {certificate.chain} with the key {certificate.key}: "
            f"{error}; remove both to have new ones made",
            "https",
        ) from error
    return context


def _url(door: _Door) -> str:
    """Return where a client on this machine finds the door."""
    host, port = door.socket.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{door.name}://{Address(host, port)}"
