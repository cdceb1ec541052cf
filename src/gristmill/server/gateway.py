"""The gateway: chooses an app by the path, and refuses listeners an app does not speak on."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gristmill.server.asgi import (
    App,
    Receive,
    Scope,
    Send,
    close_connection,
    error_body,
    listener_of,
    send_error,
    under,
)

_SLASHES = re.compile("/{2,}")
EVERYWHERE = frozenset({"http", "https", "unix"})
PROMINENCE_ROOTS = (
    "jobs", "workflows", "data", "kv", "accounting", "usage", "resources", "health", "token", "ts",
    "register", "devicecode",
)  # fmt: skip
"""What is PROMINENCE's of ``/api/v1``, which it shares with other interfaces."""

PROMINENCE_PREFIXES = ("/prominence", *(f"/api/v1/{root}" for root in PROMINENCE_ROOTS))

NATIVE_PREFIXES = ("/v1", "/v2", "/metrics", "/healthz", "/readyz")


OMEGA_ML_PREFIXES = (
    "/omega-ml",
    "/swagger.json",
    *(f"/api/{page}" for page in ("doc", "docs", "redoc", "service")),
    *(
        f"/api/v1/{resource}"
        for resource in ("dataset", "model", "job", "script", "service", "config", "task", "ping")
    ),
)


def everything(scope: Scope) -> bool:  # noqa: ARG001
    """Claim every request."""
    return True


class Route(NamedTuple):
    """An app and the path it stands under, such as ``/v1``.

    listeners: where it speaks; on any other its requests are answered by closing the connection.
    lenient: it is found even when slashes are repeated; the app is given the path as it is.
    claims: of routes with the same prefix, the first that claims a request has it.
    """

    prefix: str
    app: App
    listeners: frozenset[str] = EVERYWHERE
    lenient: bool = False
    claims: Callable[[Scope], bool] = everything


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Answer 404 in the native shape."""
    await send_error(send, 404, error_body("not_found", f"there is nothing at {scope['path']}"))


class Gateway:
    """An ASGI app of apps; of routes that fit a path, the one with the longest prefix has it."""

    def __init__(self, routes: Sequence[Route], fallback: App = not_found) -> None:
        self._fallback = Route("", fallback)
        self._by_segment: dict[str, list[Route]] = {}
        for route in sorted(routes, key=lambda route: -len(route.prefix)):
            self._by_segment.setdefault(_first_segment(route.prefix), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its app."""
        route = self._route(scope)
        if listener_of(scope) in route.listeners:
            await route.app(scope, receive, send)
        else:
            close_connection(scope)

    def _route(self, scope: Scope) -> Route:
        path = scope["path"]
        repeated = "//" in path
        path = _SLASHES.sub("/", path) if repeated else path
        for route in self._by_segment.get(_first_segment(path), ()):
            fits = under(path, (route.prefix,)) and (route.lenient or not repeated)
            if fits and route.claims(scope):
                return route
        return self._fallback


def mlbench_routes(app: App) -> list[Route]:
    """Return the routes of the MLBench app; what others have below ``/api`` is longer."""
    return [Route(prefix, app) for prefix in ("/api", "/mlbench", "/runs", "/worker")]


def omega_ml_routes(app: App) -> list[Route]:
    """Return the routes of the omega-ml app; who else has ``/api/v1/job`` must come before."""
    return [Route(prefix, app) for prefix in OMEGA_ML_PREFIXES]


def native_routes(app: App) -> list[Route]:
    """Return the routes of the native app."""
    return [Route(prefix, app) for prefix in NATIVE_PREFIXES]


def prominence_routes(app: App) -> list[Route]:
    """Return the routes of the PROMINENCE app."""
    return [Route(prefix, app, lenient=True) for prefix in PROMINENCE_PREFIXES]


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]
