"""Endpoints on the server's own web stack that read a request and store nothing.

``python -m bench.bare KIND`` prints the URL of one and serves until it is ended: a ``route`` of
the framework that the server's routes are made with, or a ``callable`` without any framework.
"""

import asyncio
import sys

import msgspec
import uvloop
from litestar import Litestar, post

from gristmill.domain.clock import Chance
from gristmill.server.asgi import App, Receive, Scope, Send
from gristmill.server.guard import Guard
from gristmill.server.limits import LimitRequests, RequestLimits
from gristmill.server.listeners import Doors, Listeners
from gristmill.server.protocol import ConnectionLimits
from gristmill.server.setting_kinds import Address

CONNECTIONS = ConnectionLimits(
    max_header=65_536, max_connections=100, header_timeout=60, keep_alive=60
)
REQUESTS = RequestLimits(max_body=1 << 20, max_requests=100, body_timeout=60)


class Point(msgspec.Struct):
    """What is posted."""

    pod_name: str
    name: str
    value: str
    cumulative: bool = False
    metadata: str = ""


@post("/api/metrics")
async def route(data: Point) -> Point:
    """Answer the point back, as if it had been stored."""
    return data


async def bare_callable(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Do the same, with nothing in between."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    reply = msgspec.json.encode(msgspec.json.decode(body))
    length = b"%d" % len(reply)
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": reply})


async def serve(kind: str) -> None:
    """Serve for ever."""
    chance = Chance()
    app: App = Litestar([route], openapi_config=None) if kind == "route" else bare_callable  # type: ignore[assignment]
    guarded = Guard(LimitRequests(app, REQUESTS), chance)
    doors = Doors(http=Address("127.0.0.1", 0), https=None, certificate=None, socket=None)
    listeners = Listeners(guarded, doors, CONNECTIONS, chance)
    addresses = await listeners.open()
    print(addresses.http, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
