"""One request and its answer over ASGI, in the shapes Job-Runner's clients know."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

import msgspec

from gristmill.dialects.job_runner.errors import ClientGoneError, RefusedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]
Pairs = tuple[tuple[str, str], ...]

JSON_TYPE = b"application/json"
LARGEST_BODY = 48 << 20
"""Bytes. A run log of 819,200 bytes can take six times that as JSON; this leaves much room."""

MOST_PARAMETERS = 1000
OVERRIDE = b"x-http-method-override"

_encode = msgspec.json.Encoder(order="deterministic").encode


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()


class Request:
    """What came, without its body until ``load`` was called.

    method: the one that counts, which a header may have put in the place of POST.
    path: decoded, below the mount. mount: the prefix the request came through, or empty.
    """

    def __init__(self, scope: Scope, receive: Receive, mount: str, path: str) -> None:
        self.scope, self.mount, self.path = scope, mount, path
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.method = _method(scope["method"], self.headers)
        self.body = b""
        self._receive = receive

    @property
    def target(self) -> bytes:
        """The path and query exactly as they were sent."""
        query: bytes = self.scope["query_string"]
        path: bytes = self.scope["raw_path"]
        return path + b"?" + query if query else path

    @property
    def secure(self) -> bool:
        """Whether it came over TLS."""
        return bool(self.scope["scheme"] == "https")

    @property
    def origin(self) -> str:
        """How the client calls this server: ``http://host:port``."""
        host = self.text(b"host") or "localhost"
        return f"{self.scope['scheme']}://{host}"

    def text(self, name: bytes) -> str:
        """Return a header, empty when it is not there; name in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    @cached_property
    def query(self) -> Pairs:
        """The query's names and values in their order. Raises RefusedError."""
        text = self.scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
        except ValueError:
            raise RefusedError(400, f"more than {MOST_PARAMETERS} parameters") from None
        return tuple(pairs)

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """Cookies by name; the first of several counts."""
        cookies: dict[str, str] = {}
        for part in self.text(b"cookie").split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                cookies.setdefault(name, value)
        return cookies

    async def load(self) -> None:
        """Read the body. Raises RefusedError, ClientGoneError."""
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > LARGEST_BODY:
                raise RefusedError(413, f"the body is larger than {LARGEST_BODY} bytes")
            chunks.append(chunk)
            more = message.get("more_body", False)
        self.body = b"".join(chunks)


def _method(sent: str, headers: Mapping[bytes, bytes]) -> str:
    method = sent.upper()
    if method == "POST" and (instead := headers.get(OVERRIDE, b"").strip()):
        return instead.decode("latin-1").upper()
    return method


def json_answer(document: object, status: int = 200) -> Answer:
    """Return a document as JSON with sorted keys."""
    return Answer(status, _encode(document), ((b"content-type", JSON_TYPE),))


def created(request: Request, uri: str) -> Answer:
    """Return the answer to a POST that made something."""
    location = quote(request.origin + uri, safe=":/[]")
    headers = ((b"content-type", JSON_TYPE), (b"location", location.encode("latin-1")))
    return Answer(201, b"", headers)


def accepted() -> Answer:
    """Return the answer to a PATCH that was done."""
    return Answer(202)


def refused(error: RefusedError) -> Answer:
    """Return how an error is answered."""
    if error.text is None:
        return Answer(error.status)
    return json_answer({"error": error.text}, error.status)


def not_allowed(methods: tuple[str, ...]) -> Answer:
    """Return the refusal of a method, naming those there are."""
    allowed = ",".join(methods).encode()
    return Answer(405, allowed, ((b"allow", allowed), (b"content-type", b"text/plain")))


def options(methods: tuple[str, ...]) -> Answer:
    """Return what may be done here."""
    return not_allowed(methods)._replace(status=200)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer."""
    length = (b"content-length", b"%d" % len(answer.body))
    headers = [*answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
