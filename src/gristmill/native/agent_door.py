"""/agent: where agents come in. Bare ASGI and msgpack, for this is the hottest path there is."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    NotAuthenticatedError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.domain.identity import AGENT
from gristmill.native.access import identify, require
from gristmill.protocol.messages import (
    Held,
    LeaseRequest,
    OrderResult,
    Question,
    Register,
    Report,
    Stream,
)
from gristmill.services.house import House

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_UPLOAD_NUMBERS = ("agent", "job", "attempt", "rank", "stream", "offset")
_encode = msgspec.msgpack.Encoder().encode
_register = msgspec.msgpack.Decoder(Register).decode
_lease = msgspec.msgpack.Decoder(LeaseRequest).decode
_report = msgspec.msgpack.Decoder(Report).decode
_question = msgspec.msgpack.Decoder(Question).decode
_order_result = msgspec.msgpack.Decoder(OrderResult).decode


class AgentDoor:
    """The ASGI app of the agents."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one message."""
        try:
            status, body = 200, await self._answer(scope, receive)
        except (msgspec.DecodeError, ValueError) as error:
            status, body = 400, str(error).encode()
        except GristmillError as error:
            status, body = _status(error), str(error).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/msgpack"),
                    (b"content-length", b"%d" % len(body)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        require(await identify(self._house, headers), AGENT)
        body = await _read(receive)
        agents, path = self._house.agents, scope["path"]
        if path == "/agent/lease":
            return _encode(await agents.lease(_lease(body)))
        if path == "/agent/report":
            return _encode(await agents.report(_report(body)))
        if path == "/agent/register":
            return _encode(await agents.register(_register(body)))
        if path == "/agent/prepare":
            return _encode(await self._house.preparing.prepare(_question(body)))
        if path == "/agent/places":
            return _encode(await self._house.preparing.places(_question(body)))
        if path.startswith("/agent/order/"):
            self._house.orders.answered(int(path.rpartition("/")[2]), _order_result(body))
            return b""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if path == "/agent/upload":
            await self._upload({name: values[0] for name, values in query.items()}, body)
            return b""
        if path.startswith("/agent/output/"):
            ended = query.get("ended") == ["1"]
            self._house.outputs.answered(int(path.rpartition("/")[2]), body, ended=ended)
            return b""
        raise ValueError(f"agents have nothing to say at {path}")

    async def _upload(self, query: dict[str, str], body: bytes) -> None:
        """Store a piece of a large output. Raises ValueError when the query makes no sense."""
        agent, job, attempt, rank, stream, offset = (
            int(query.get(name, "")) for name in _UPLOAD_NUMBERS
        )
        await self._house.outputs.take_in(
            agent,
            query.get("instance", ""),
            Held(job, attempt, rank),
            Stream(stream),
            offset,
            body,
        )


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ValueError("the agent went away in the middle of a message")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _status(error: GristmillError) -> int:
    statuses = (
        (NotAuthenticatedError, 401),
        (NotPermittedError, 403),
        (ConflictError, 409),
        (UnavailableError, 503),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 400)
