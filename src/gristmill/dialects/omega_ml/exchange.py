"""One request and its answer over ASGI."""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gristmill.dialects.omega_ml.errors import ClientGoneError, RefusedError, refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = "application/json"
MOST_PARAMETERS = 1000
INLINE_BYTES = 256 * 1024
"""Bodies up to this size are looked through on the event loop; larger ones in a thread."""

_MISSING = re.compile(r"missing required field `(\w+)`")
_TRUE = frozenset("1ty")
_encode = msgspec.json.Encoder().encode


class Exchange:
    """What a call is made of.

    mount: the prefix the client came under, such as ``/omega-ml``. path: without it.
    uri: the path as the client wrote it. payload: whether the body was read. answered: whether
    an answer has begun.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, mount: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.mount = mount
        self.uri: str = scope["path"]
        self.path = self.uri.removeprefix(mount)
        self.payload = self.answered = False

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The parameters in their order. Raises RefusedError."""
        return _query(self._scope["query_string"])

    @property
    def method(self) -> str:
        """The request's method; HEAD is answered as GET."""
        method: str = self._scope["method"]
        return "GET" if method == "HEAD" else method

    @property
    def scheme(self) -> str:
        """How the client came: http or https."""
        return str(self._scope.get("scheme", "http"))

    @property
    def client(self) -> str | None:
        """The client's address, None when it came through a socket of this machine."""
        client = self._scope.get("client")
        return str(client[0]) if client else None

    def header(self, name: str) -> str:
        """Return a header's first value, '' when it is absent; name in lower case."""
        wanted = name.encode()
        for found, value in self._scope["headers"]:
            if found == wanted:
                return str(value.decode("latin-1"))
        return ""

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query; given twice, the last one; None when it is empty."""
        for found, value in reversed(self.query):
            if found == name:
                return value or None
        return None

    @property
    def wants_task(self) -> bool:
        """Whether the client asks for a task instead of waiting for the result."""
        wish = self.parameter("async") or self.header("async")
        return wish[:1].lower() in _TRUE if wish else False

    async def body(self) -> bytes:
        """Return the whole body. Raises ClientGoneError."""
        parts, more = [], True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        self.payload = True
        return b"".join(parts)

    async def reply(self, value: Any, status: int, *headers: Header) -> None:
        """Answer with JSON; a 204 has no body."""
        await self.send_bytes(b"" if status == 204 else _encode(value), status, JSON, *headers)

    async def send_bytes(
        self, body: bytes | bytearray, status: int, kind: str, *headers: Header
    ) -> None:
        """Answer with bytes of a kind."""
        head = [*headers, (b"content-length", b"%d" % len(body))]
        head.append((b"x-content-type-options", b"nosniff"))
        if body:
            head.append((b"content-type", kind.encode()))
        self.answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})


async def decode(body: bytes, kind: Any) -> Any:
    """Return JSON as the type. Raises RefusedError."""
    try:
        if len(body) <= INLINE_BYTES:
            return msgspec.json.decode(body, type=kind)
        return await asyncio.to_thread(msgspec.json.decode, body, type=kind)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        missing = _MISSING.search(text)
        field = missing.group(1) if missing else place.rstrip("`")
        raise _wrong(field or "body", text) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refused(400, f"body: not valid JSON: {error}") from error
    except RecursionError:
        raise refused(400, "body: nested too deeply") from None


def _wrong(field: str, text: str) -> RefusedError:
    body = {"errors": {field: text}, "message": "Input payload validation failed"}
    return RefusedError(400, body)


def _query(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("latin-1"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise refused(400, f"the query is malformed: {error}") from error
