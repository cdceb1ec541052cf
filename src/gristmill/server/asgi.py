"""The few ASGI shapes that the shell of the server works with."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

CLOSE = "gristmill.close"
"""Extension of a scope: a function that closes the client's connection without an answer."""


PIECE = 1 << 20
"""Bytes of a body that are handed to a connection at a time."""


async def send_in_pieces(send: Send, message: Message) -> None:
    """Send a message; between pieces of a large body the client sets the pace, others have turns.

    Otherwise a connection would take, copy and encrypt all of it before anybody else is served.
    """
    body = message.get("body", b"")
    if len(body) <= PIECE:
        await send(message)
        return
    view = memoryview(body)
    last = (len(view) - 1) // PIECE * PIECE
    for start in range(0, last, PIECE):
        await send({**message, "body": view[start : start + PIECE], "more_body": True})
    await send({**message, "body": view[last:]})


def close_connection(scope: Scope) -> None:
    """Close the connection the request came on; whatever is sent after goes nowhere."""
    scope["extensions"][CLOSE]()


def listener_of(scope: Scope) -> str:
    """Return which listener a request came through: ``http``, ``https`` or ``unix``."""
    name: str = scope.get("state", {}).get("listener", "")
    return name


def under(path: str, prefixes: Sequence[str]) -> bool:
    """Whether path is one of prefixes or lies below it, by whole segments."""
    for prefix in prefixes:
        if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}:
            return True
    return False


def error_body(code: str, message: str, **more: str) -> bytes:
    """Return an error in the native shape."""
    return msgspec.json.encode({"error": {"code": code, "message": message, **more}})


async def send_error(send: Send, status: int, body: bytes, headers: Sequence[Header] = ()) -> None:
    """Answer with an error body made by error_body."""
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
