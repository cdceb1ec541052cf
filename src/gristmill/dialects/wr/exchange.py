"""One request and its answer over ASGI, byte for byte as wr's clients know them."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from gristmill.dialects.wr.errors import ClientGoneError, RefusedError
from gristmill.dialects.wr.queries import Query

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON = b"application/json; charset=UTF-8"
_TEXT = b"text/plain; charset=utf-8"


class Exchange:
    """What a handler is given. rest: the path below its endpoint, decoded."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, rest: str, query: Query) -> None:
        self.scope, self.rest, self.query = scope, rest, query
        self._receive, self._send = receive, send

    @property
    def method(self) -> str:
        """The request's method."""
        method: str = self.scope["method"]
        return method

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises ClientGoneError."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self) -> bytes:
        """Return the whole body. Raises ClientGoneError."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def reply(self, body: bytes, status: int = 200) -> None:
        """Answer with JSON, or with nothing when body is empty."""
        await answer(self._send, status, body, [(b"content-type", _JSON)] if body else [])


async def refuse(send: Send, error: RefusedError) -> None:
    """Answer with a line of text."""
    headers = [(b"content-type", _TEXT), (b"x-content-type-options", b"nosniff")]
    text = error.text.replace("\n", " ").encode("utf-8", "replace")
    await answer(send, error.status, text + b"\n", headers)


async def answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header's first value; name in lower case."""
    for found, value in scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return None
