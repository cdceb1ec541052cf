"""A real server of a toy app in a thread of its own, for tests that speak bytes to it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import uvloop

from gristmill.domain.clock import Chance
from gristmill.server.asgi import App, Receive, Scope, Send
from gristmill.server.guard import Guard
from gristmill.server.limits import LimitRequests, RequestLimits
from gristmill.server.listeners import Addresses, Doors, Listeners
from gristmill.server.protocol import ConnectionLimits
from gristmill.server.setting_kinds import Address

CONNECTION_LIMITS = ConnectionLimits(
    max_header=262_144, max_connections=100, header_timeout=10, keep_alive=10
)
REQUEST_LIMITS = RequestLimits(max_body=1_000_000, max_requests=100, body_timeout=10)
ANY_PORT = Address("127.0.0.1", 0)


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


class Toy:
    """Answers by path; ``entered`` and ``release`` hold a request on ``/hold``."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = asyncio.Event()
        self.disconnected = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/size":
            await answer(send, b"%d" % len(await read_body(receive)))
        elif path == "/early":
            await answer(send, b"no thanks", 403)
        elif path == "/query":
            await answer(send, b"%d" % len(scope["query_string"]))
        elif path == "/listener":
            await answer(send, scope["state"]["listener"].encode())
        elif path == "/fail":
            raise RuntimeError("a secret detail")
        elif path == "/fail-late":
            headers = [(b"content-length", b"10")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("a secret detail")
        elif path == "/stream":
            await self._stream(scope, receive, send)
        elif path in ("/hold", "/agent/hold"):
            self.entered.set()
            await self.release.wait()
            await answer(send, b"released")
        else:
            await answer(send, b"hello")

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        self.entered.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()


class Server:
    """A running server. ``call`` runs a function on its loop."""

    def __init__(self, listeners: Listeners, loop: asyncio.AbstractEventLoop) -> None:
        self.listeners = listeners
        self.loop = loop

    @property
    def addresses(self) -> Addresses:
        return self.listeners.addresses

    @property
    def port(self) -> int:
        return int((self.addresses.http or self.addresses.https or "").rpartition(":")[2])

    def stop(self, grace: float) -> None:
        asyncio.run_coroutine_threadsafe(self.listeners.stop(grace), self.loop).result(30)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def exchange(self, *parts: bytes) -> bytes:
        """Send bytes, and return everything until the server closes."""
        with self.connect() as client:
            for part in parts:
                client.sendall(part)
            return read_to_end(client)


def read_to_end(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while data := client.recv(65536):
            received += data
    return received


def read_until(client: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        data = client.recv(65536)
        assert data, received
        received += data
    return received


@contextlib.contextmanager
def serving(
    app: App | None = None,
    *,
    doors: Doors | None = None,
    guarded: bool = True,
    request_limits: RequestLimits = REQUEST_LIMITS,
    **limits: Any,
) -> Iterator[Server]:
    """Serve app as the real server would, with some limits changed."""
    toy: App = app or Toy()
    if guarded:
        toy = Guard(LimitRequests(toy, request_limits), Chance())
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connection_limits = msgspec.structs.replace(CONNECTION_LIMITS, **limits)
    listeners = Listeners(toy, doors or Doors(http=ANY_PORT), connection_limits, Chance())
    server = Server(listeners, loop)
    try:
        asyncio.run_coroutine_threadsafe(listeners.open(), loop).result(10)
        yield server
    finally:
        server.stop(0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
