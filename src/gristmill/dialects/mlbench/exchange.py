"""One request and its answer over ASGI, in the formats MLBench's clients ask for."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gristmill.dialects.mlbench.bodies import parse_body
from gristmill.dialects.mlbench.errors import ClientGoneError, RefusedError, bad, detail

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON, JAVASCRIPT, ZIP = "application/json", "text/javascript", "application/octet-stream"
LARGEST_BODY = 64 << 20
MOST_PARAMETERS = 100

_WRITTEN = frozenset({JSON, JAVASCRIPT, "application/*", "text/*", "*/*"})
_WITH_ZIP = _WRITTEN | {ZIP}
_encode = msgspec.json.Encoder().encode


class Exchange:
    """What a handler is given. path: below the interface's root, without slashes at its ends."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        self.scope, self.path = scope, path
        self._receive, self._send = receive, send
        self.query = _query(scope["query_string"])
        self.accept = _accepted(header(scope, b"accept"))
        self.suffix = ""
        for suffix in ("zip", "json"):
            if path.endswith(f".{suffix}"):
                self.path, self.suffix = path.removesuffix(f".{suffix}"), suffix

    @property
    def method(self) -> str:
        """The request's method; HEAD is answered as GET."""
        method: str = self.scope["method"]
        return "GET" if method == "HEAD" else method

    def wants_zip(self) -> bool:
        """Whether an archive is asked for: by suffix, by ``format``, or by Accept."""
        wanted = self.suffix or self.query.get("format", "")
        if wanted:
            return wanted == "zip"
        return ZIP in self.accept and not self.accept & {JSON, JAVASCRIPT}

    def as_javascript(self) -> bool:
        """Whether the client is one of the older ones, which ask for ``text/javascript``."""
        return JAVASCRIPT in self.accept and not (self.suffix or self.query.get("format"))

    def check_format(self, *, zips: bool = False) -> None:
        """Refuse formats that nothing here is written in."""
        wanted = self.suffix or self.query.get("format", "")
        if wanted and wanted != "json" and not (zips and wanted == "zip"):
            raise detail(404, "Not found.")
        known = _WITH_ZIP if zips else _WRITTEN
        if not wanted and self.accept and not self.accept & known:
            raise detail(406, "Could not satisfy the request Accept header.")

    async def body(self) -> Any:
        """Return what was sent: of a form, a mapping of texts. Raises RefusedError."""
        return parse_body(*await self.raw_body())

    async def raw_body(self) -> tuple[str, bytes]:
        """Return the kind of what was sent, and its bytes. Raises RefusedError."""
        return header(self.scope, b"content-type") or "", await self._read()

    async def _read(self) -> bytes:
        parts, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > LARGEST_BODY:
                raise detail(413, f"The body is larger than {LARGEST_BODY} bytes.")
            more = message.get("more_body", False)
        return b"".join(parts)

    def number(self, name: str) -> int:
        """Return a whole number of the query, 0 when it is absent. Raises RefusedError."""
        text = self.query.get(name, "")
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            raise bad(f"{name} must be a whole number, not {text[:40]!r}")
        return int(text)

    async def reply(self, value: Any, status: int = 200) -> None:
        """Answer with JSON."""
        await self.send_bytes(_encode(value), status)

    async def send_bytes(
        self, body: bytes, status: int = 200, *headers: tuple[bytes, bytes], kind: str = ""
    ) -> None:
        """Answer with bytes, as JSON unless their kind is given."""
        await answer(self._send, status, body, [*self._headers(kind), *headers])

    async def stream(self, chunks: AsyncIterator[bytes]) -> None:
        """Answer with JSON that is written as it is read."""
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": self._headers("")}
        )
        async for chunk in chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, error: RefusedError) -> None:
        """Answer with what is wrong."""
        await self.send_bytes(_encode(error.body), error.status, *error.headers)

    def _headers(self, kind: str) -> list[tuple[bytes, bytes]]:
        kind = kind or (JAVASCRIPT if self.as_javascript() else JSON)
        return [
            (b"content-type", kind.encode()),
            (b"vary", b"Accept"),
            (b"x-content-type-options", b"nosniff"),
        ]


async def answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a whole answer."""
    if status == 204:
        body = b""
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


def _query(raw: bytes) -> dict[str, str]:
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise detail(400, f"Malformed query: {error}") from error
    return dict(pairs)


@lru_cache(maxsize=256)
def _accepted(text: str | None) -> frozenset[str]:
    """Return the media types a client takes; those it gives no weight are left out."""
    kinds = set()
    for part in (text or "").split(","):
        kind, _, rest = part.partition(";")
        if kind.strip() and rest.replace(" ", "") not in {"q=0", "q=0.0"}:
            kinds.add(kind.strip().lower())
    return frozenset(kinds)
