"""One client's connection: uvicorn's HTTP protocol with limits on heads, pauses and idling."""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gristmill.server.asgi import CLOSE, error_body

LONGEST_PARSED_URL = 65_535
"""Bytes the parser of URLs takes; beyond this only the path is given to it."""

LINGER = 2.0
"""Seconds a refused client has to read why, before its connection is cut."""

DRAIN = 15.0
"""Seconds a client may go on sending a body whose request was already answered."""

STALLED_READER = 600.0
"""Seconds a client may leave an answer unread; a person's pager may pause that long."""


WebSocketPaths = frozenset[bytes] | None
"""Paths where a connection may become a WebSocket; None: anywhere."""

NO_WEBSOCKETS: WebSocketPaths = frozenset()


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """max_header: bytes of request line and headers. max_connections: open at a time.

    header_timeout, keep_alive: seconds for a head to arrive, and between requests.
    """

    max_header: int
    max_connections: int
    header_timeout: float
    keep_alive: float


class GuardedProtocol(HttpToolsProtocol):
    """A connection that someone must ask now and then whether its time is over.

    The base class asks nothing of slow or huge heads. Deadlines are plain numbers that
    ``expire`` compares, because a timer for every request would cost more than the request.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
        loop: asyncio.AbstractEventLoop,
        websockets: WebSocketPaths = NO_WEBSOCKETS,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._limits = limits
        self._websockets = websockets
        self._deadline: float | None = None
        self._reader_deadline: float | None = None
        self._in_head = True
        self._message_open = False
        self._body_seen = False
        self._refused = False
        self._declined_upgrade = False
        self._chunk = 0
        self._head_first = 0
        self._head_rest = 0
        self.gone = asyncio.Event()
        self._extensions = {CLOSE: self._close_unanswered}

    def expire(self, now: float) -> None:
        """Cut the connection if it is past a deadline. now: of the loop's clock."""
        late = self._deadline is not None and now >= self._deadline
        unread = self._reader_deadline is not None and now >= self._reader_deadline
        if late or unread:
            self.transport.abort()

    def idle(self) -> bool:
        """Whether every request so far has its whole answer."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for a head, unless the house is full."""
        super().connection_made(transport)
        self._allow(self._limits.header_timeout)
        if len(self.connections) > 2 * self._limits.max_connections:
            transport.abort()
        elif len(self.connections) > self._limits.max_connections:
            self._refuse(503, "unavailable", "too many connections are open; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app, if it still works for this client."""
        super().connection_lost(exc)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse what is no request or has an endless head."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._chunk = len(data)
        if self._in_head:
            self._head_rest += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(400, "invalid_input", "this is not a valid HTTP request")
        if self._in_head and self._head_rest > self._limits.max_header:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Note that a head has begun somewhere in the current chunk."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        self._in_head = self._message_open = True
        self._body_seen = False
        self._head_first, self._head_rest = self._chunk, 0
        if self.idle():
            self._allow(self._limits.header_timeout)

    def on_headers_complete(self) -> None:
        """Hand the request over, if its head is not too large."""
        self._in_head = False
        self._deadline = None
        if self._refused or self.parser.should_upgrade():
            return
        if self._head_first + self._head_rest > self._limits.max_header and self._head_too_large():
            self._refuse_head()
        elif len(self.url) > LONGEST_PARSED_URL:
            self._hand_over_long_url()
        else:
            super().on_headers_complete()
            if self._declined_upgrade:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._body_seen = True
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the body; it may come after the answer."""
        self._message_open = False
        if self._refused or self.parser.should_upgrade():
            return
        super().on_message_complete()
        if self.idle():
            self._allow(self._limits.keep_alive)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that was not read."""
        super().on_response_complete()
        if not self.idle() or self.transport.is_closing():
            return
        if not self._message_open:
            self._allow(self._limits.keep_alive)
        elif self.expect_100_continue and not self._body_seen:
            # Such a client sends no body now, and its next request would be taken for one.
            self.transport.close()
        else:
            self._allow(DRAIN)

    def pause_writing(self) -> None:
        """Give a client that does not read a last date."""
        super().pause_writing()
        self._reader_deadline = self.loop.time() + STALLED_READER

    def resume_writing(self) -> None:
        """Forget that date: the client reads again."""
        super().resume_writing()
        self._reader_deadline = None

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._become_websocket(data[upgrade.args[0] :])
                return
            # No other upgrade is on offer, and the parser would drop the body of one that is asked
            # for; so the request is read again without that header, as the connection's last.
            if self._declined_upgrade or self.parser.get_method() == b"CONNECT":
                self._refuse(400, "invalid_input", "this server neither upgrades nor tunnels")
                return
            self._declined_upgrade = True
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self._parse(head + data[upgrade.args[0] :])

    def _should_upgrade(self) -> bool:
        path = self.url.partition(b"?")[0]
        offered = self._websockets is None or path in self._websockets
        return offered and super()._should_upgrade()

    def _become_websocket(self, rest: bytes) -> None:
        """Hand the connection over, with what the client sent after its request."""
        if self._head_too_large() or not self.idle():
            self._refuse_head()
            return
        self._deadline = None
        self.scope["method"] = "GET"
        self.handle_websocket_upgrade()
        if rest:
            protocol: Any = self.transport.get_protocol()
            protocol.data_received(rest)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _allow(self, seconds: float) -> None:
        if not self._refused:
            self._deadline = self.loop.time() + seconds

    def _head_too_large(self) -> bool:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self._limits.max_header

    def _hand_over_long_url(self) -> None:
        self.url, _, query = self.url.partition(b"?")
        if len(self.url) > LONGEST_PARSED_URL:
            self._refuse(414, "too_large", "the path of the URL is too long", field="url")
            return
        super().on_headers_complete()
        self.scope["query_string"] = query

    def _refuse_head(self) -> None:
        most = self._limits.max_header
        text = f"the request line and headers have more than {most} bytes"
        self._refuse(431, "too_large", text, field="headers")

    def _refuse(self, status: int, code: str, message: str, **more: str) -> None:
        """Answer in the app's place, then read on for a moment so that the answer arrives."""
        if self._refused:
            return
        self._allow(LINGER)
        self._refused = True
        if not self.idle():
            self.transport.abort()
            return
        body = error_body(code, message, **more)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close_unanswered(self) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.close()
