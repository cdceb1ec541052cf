"""An endpoint on the server's own web stack that reads a request and stores nothing.

``python -m bench.bare`` prints its URL and serves until it is ended.
"""

import asyncio

import uvloop

from gristmill.domain.clock import Chance
from gristmill.server.asgi import Receive, Scope, Send
from gristmill.server.guard import Guard
from gristmill.server.limits import LimitRequests, RequestLimits
from gristmill.server.listeners import Doors, Listeners
from gristmill.server.protocol import ConnectionLimits
from gristmill.server.setting_kinds import Address

REPLY = b'{"pod_name":"p","name":"n","date":"","value":"0","cumulative":false,"metadata":""}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(REPLY))]
CONNECTIONS = ConnectionLimits(
    max_header=65_536, max_connections=100, header_timeout=60, keep_alive=60
)
REQUESTS = RequestLimits(max_body=1 << 20, max_requests=100, body_timeout=60)


async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Read the body, answer as if the point had been stored."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
    await send({"type": "http.response.body", "body": REPLY})


async def serve() -> None:
    """Serve for ever."""
    chance = Chance()
    guarded = Guard(LimitRequests(app, REQUESTS), chance)
    doors = Doors(http=Address("127.0.0.1", 0), https=None, certificate=None, socket=None)
    listeners = Listeners(guarded, doors, CONNECTIONS, chance)
    addresses = await listeners.open()
    print(addresses.http, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
