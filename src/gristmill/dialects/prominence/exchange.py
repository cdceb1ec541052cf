"""One request and its answer over ASGI."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    MutableMapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gristmill.dialects.prominence.errors import ClientGoneError, RefusedError, bad

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")
MOST_DIGITS = 18
"""Of a whole number in a query: all such numbers fit the store's integers."""

_encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Query:
    """The query string; a parameter may be repeated, and may have no value."""

    def __init__(self, raw: bytes) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        values = self._values.get(name)
        return values[0] if values else default

    def every(self, name: str) -> Sequence[str]:
        """Return all values of a parameter, in order."""
        return self._values.get(name, ())

    def integer(self, name: str, default: int) -> int:
        """Return a parameter as a whole number. Raises RefusedError."""
        return whole(self.first(name), name) if name in self._values else default


def whole(text: str, name: str) -> int:
    """Return text as a whole number. Raises RefusedError naming it."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS):
        raise bad(f"{name} must be an integer, not {text[:80]!r}")
    return int(text)


class Exchange:
    """What a handler is given. parts: what stood in the path where its pattern has a gap.

    prefix: the part of the path before the endpoint, such as ``/api/v1``.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, prefix: str) -> None:
        self.scope, self.prefix = scope, prefix
        self.query = Query(scope["query_string"])
        self.parts: tuple[str, ...] = ()
        self._receive, self._send = receive, send

    @property
    def base_url(self) -> str:
        """The URL of the interface as this client reaches it, without a slash at its end."""
        return f"{self.scope['scheme']}://{self.host}{self.prefix}"

    @property
    def host(self) -> str:
        """The host and port that the client asked for."""
        return header(self.scope, b"host") or "localhost"

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

    async def json(self) -> Any:
        """Return the body as JSON, whatever its content type. Raises RefusedError."""
        try:
            return _decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad(f"the request body is not JSON: {error}") from error

    async def reply(self, content: object, status: int = 200) -> None:
        """Answer with compact JSON and a line feed."""
        await answer(self._send, status, _encode(content) + b"\n", [JSON])

    async def reply_text(self, text: bytes, status: int = 200) -> None:
        """Answer with raw text."""
        await answer(self._send, status, text, [TEXT])

    @asynccontextmanager
    async def text_in_parts(self) -> AsyncGenerator[Callable[[bytes], Awaitable[None]], None]:
        """Answer with raw text that is sent part by part."""
        await self._send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        yield self._send_part
        await self._send({"type": "http.response.body", "body": b""})

    async def reply_list(self, pages: AsyncIterator[list[Any]]) -> None:
        """Answer with one array of what the pages hold; only a long one is sent in parts."""
        full = (page async for page in pages if page)
        first: list[Any] = await anext(full, [])
        second = await anext(full, None)
        if second is None:
            await self.reply(first)
            return
        await self._send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await self._send_part(b"[" + _encode(first)[1:-1])
        await self._send_part(b"," + _encode(second)[1:-1])
        async for page in full:
            await self._send_part(b"," + _encode(page)[1:-1])
        await self._send({"type": "http.response.body", "body": b"]\n"})

    async def _send_part(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def reply_empty(self, status: int = 204) -> None:
        """Answer without a body."""
        await answer(self._send, status, b"", [])


async def refuse(send: Send, error: RefusedError) -> None:
    """Answer with an error."""
    headers = [JSON]
    if error.allow:
        headers.append((b"allow", error.allow.encode()))
    await answer(send, error.status, error_body(error.text), headers)


def error_body(text: str) -> bytes:
    """Return the body of an error."""
    return _encode({"error": text.encode("utf-8", "replace").decode()}) + b"\n"


async def answer(send: Send, status: int, body: bytes, headers: Sequence[Header]) -> None:
    """Send a whole answer."""
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header's first value; name in lower case."""
    for found, value in scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return None
