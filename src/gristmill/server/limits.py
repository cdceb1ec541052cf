"""What one request may ask of the server: URL length, body size and pace, and its turn."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog

from gristmill.server.asgi import (
    App,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    close_connection,
    error_body,
    send_error,
    under,
)
from gristmill.server.patience import within

log = structlog.get_logger()

LONGEST_URL = 128 * 1024
"""Bytes of path and query; clients put long lists of ids there."""

ALWAYS_ADMITTED = ("/agent", "/healthz", "/readyz")
"""Refusing these in a rush would make the rush worse: agents could not hand in results."""

CLOSE_AFTER: Header = (b"connection", b"close")
_URL = f"the path and query have more than {LONGEST_URL} bytes; put long lists in a body"
_SOON: Header = (b"retry-after", b"1")
_TURN = "too many requests are in progress; try again in a moment"


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """max_body: bytes. max_requests: in progress at a time. body_timeout: seconds between chunks.

    max_body_below: other limits in bytes for what lies below a path.
    shapes: how errors are worded below a path, from the message to the body; else natively.
    """

    max_body: int
    max_requests: int
    body_timeout: float
    max_body_below: Mapping[str, int] = {}
    shapes: Mapping[str, Callable[[str], bytes]] = {}


class LimitRequests:
    """ASGI middleware that refuses what exceeds the limits, in the native error shape."""

    def __init__(self, app: App, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 414, 503, 413 or 408, or let the app answer."""
        path = scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_URL:
            await self._refuse(scope, send, 414, _URL, "too_large", field="url")
        elif under(path, ALWAYS_ADMITTED):
            await self._admitted(scope, receive, send)
        elif self._active >= self._limits.max_requests:
            await self._refuse(scope, send, 503, _TURN, "unavailable", headers=[_SOON])
        else:
            self._active += 1
            try:
                await self._admitted(scope, receive, send)
            finally:
                self._active -= 1

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = _announced_length(scope)
        if length == 0:
            await self._app(scope, receive, send)
            return
        most = self._most_bytes(scope["path"])
        if length is not None and length > most:
            await self._refuse(scope, send, 413, _size_text(most), "too_large", field="body")
            return
        body = _WatchedBody(scope, receive, send, most, self._limits.body_timeout, self._refuse)
        await body.run(self._app)

    async def _refuse(
        self,
        scope: Scope,
        send: Send,
        status: int,
        text: str,
        code: str,
        *,
        field: str = "",
        headers: Sequence[Header] = (),
    ) -> None:
        for prefix, shape in self._limits.shapes.items():
            if under(scope["path"], (prefix,)):
                await send_error(send, status, shape(text), headers)
                return
        more = {"field": field} if field else {}
        await send_error(send, status, error_body(code, text, **more), headers)

    def _most_bytes(self, path: str) -> int:
        for prefix, most in self._limits.max_body_below.items():
            if under(path, (prefix,)):
                return most
        return self._limits.max_body


class _WatchedBody:
    """One request whose body is counted and timed while its app reads it.

    Once refused, the app is told that its client left and what it sends goes nowhere, so the
    refusal does not depend on how an app treats errors while it reads.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        most: int,
        pause: float,
        refuse: Callable[..., Awaitable[None]],
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._most = most
        self._pause = pause
        self._answer = refuse
        self._size = 0
        self._ended = False
        self._started = False
        self._refused = False

    async def run(self, app: App) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            if not self._refused:
                raise
            log.debug("request.abandoned", path=self._scope["path"])

    async def receive(self) -> Message:
        if self._ended:
            return {"type": "http.disconnect"} if self._refused else await self._receive()
        try:
            message = await within(self._pause, self._receive())
        except TimeoutError:
            return await self._refuse(408)
        self._ended = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            return await self._refuse(413)
        return message

    async def send(self, message: Message) -> None:
        if not self._refused:
            self._started = True
            await self._send(message)

    async def _refuse(self, status: int) -> Message:
        self._ended = self._refused = True
        if self._started:
            close_connection(self._scope)
        elif status == 413:
            text = _size_text(self._most)
            await self._answer(self._scope, self._send, 413, text, "too_large", field="body")
        else:
            await self._answer(
                self._scope,
                self._send,
                408,
                f"no part of the body arrived for {self._pause:g} seconds",
                "invalid_input",
                field="body",
                headers=[CLOSE_AFTER],
            )
        return {"type": "http.disconnect"}


def _announced_length(scope: Scope) -> int | None:
    """Return the body's length in bytes, 0 without a body, None when it is not told ahead."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            return None
    return length


def _size_text(most: int) -> str:
    return f"the body is larger than {most} bytes; send less at a time, or raise --max-body"
