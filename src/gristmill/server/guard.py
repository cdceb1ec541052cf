"""The outermost guard: every request has an id, and no defect of ours reaches a client raw."""

import asyncio
import itertools

import structlog

from gristmill.domain.clock import Chance
from gristmill.server.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    close_connection,
    error_body,
    listener_of,
    send_error,
    send_in_pieces,
    under,
)
from gristmill.server.logging import request_id
from gristmill.services.objects.signing import PATH as SIGNED

SWITCHING_PROTOCOLS = 101

log = structlog.get_logger()


class Guard:
    """ASGI middleware: turns an unexpected exception into a 500 that names only its log line."""

    def __init__(self, app: App, chance: Chance, *, access_log: bool = False) -> None:
        self._app = app
        self._chance = chance
        self._access_log = access_log
        self._run = chance.token(6)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app under a request id of its own."""
        identifier = f"{self._run}-{next(self._numbers)}"
        request_id.set(identifier)
        began = self._chance.monotonic()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = SWITCHING_PROTOCOLS
            await send_in_pieces(send, message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            log.info("request.cut_off", path=_shown(scope["path"]))
        except Exception:
            path = _shown(scope["path"])
            log.exception("request.failed", method=_method(scope), path=path)
            if scope["type"] != "http":
                raise
            if status:
                close_connection(scope)
            else:
                await send_error(noting, 500, _apology(identifier))
        if self._access_log:
            self._log_access(scope, status, self._chance.monotonic() - began)

    def _log_access(self, scope: Scope, status: int, seconds: float) -> None:
        log.info(
            "request",
            method=_method(scope),
            path=_shown(scope["path"]),
            status=status,
            seconds=round(seconds, 6),
            client=(scope["client"] or ("",))[0],
            listener=listener_of(scope),
        )


def _shown(path: str) -> str:
    """Return a path as logs may hold it: a signed one opens an object to whoever reads it."""
    return f"{SIGNED}/***" if under(path, (SIGNED,)) else path


def _method(scope: Scope) -> str:
    """Return the method; a WebSocket began as a GET."""
    method: str = scope.get("method", "GET")
    return method


def _apology(identifier: str) -> bytes:
    return error_body(
        "internal",
        f"the server failed at this; its log tells more under the id {identifier}",
        id=identifier,
    )
