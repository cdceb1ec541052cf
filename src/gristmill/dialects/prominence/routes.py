"""Which path leads where, and how what goes wrong is worded."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from gristmill.dialects.prominence.access import Access
from gristmill.dialects.prominence.errors import ClientGoneError, RefusedError, refusal
from gristmill.dialects.prominence.exchange import Exchange, Receive, Scope, Send, refuse
from gristmill.domain.errors import GristmillError
from gristmill.domain.identity import Identity

PREFIXES = ("/prominence/api/v1", "/prominence/v1", "/api/v1")
GAP, REST = "{}", "*"
HOME, DOCUMENT = "/prominence", "openapi.json"
"""Where the interface tells of itself, whatever the prefix of the rest."""

Handler = Callable[[Exchange, Identity], Awaitable[None]]
OpenHandler = Callable[[Exchange], Awaitable[None]]


class Endpoint(NamedTuple):
    """A handler for a verified caller.

    path: such as ``jobs/{}/stdout``, where ``{}`` is any one segment; a ``*`` at its end is the
    rest of the path, which may be empty. What stood there is in ``Exchange.parts``.
    """

    method: str
    path: str
    handler: Handler


class OpenEndpoint(NamedTuple):
    """A handler for anybody."""

    method: str
    path: str
    handler: OpenHandler


class Routes:
    """The ASGI app: finds the endpoint, checks the caller, and words what goes wrong."""

    def __init__(self, access: Access, endpoints: Iterable[Endpoint | OpenEndpoint]) -> None:
        self._access = access
        self._endpoints: defaultdict[str, list[Endpoint | OpenEndpoint]] = defaultdict(list)
        for endpoint in endpoints:
            self._endpoints[endpoint.path.partition("/")[0]].append(endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._route(scope, receive, send)
        except RefusedError as error:
            await refuse(send, error)
        except GristmillError as error:
            await refuse(send, refusal(error))
        except ClientGoneError:
            return

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix, segments = split_path(scope["path"])
        exchange = Exchange(scope, receive, send, prefix)
        endpoint = self._find(scope["method"], segments, exchange)
        if isinstance(endpoint, OpenEndpoint):
            await endpoint.handler(exchange)
            return
        who = await self._access.identify(scope)
        await endpoint.handler(exchange, who)

    def _find(
        self, method: str, segments: Sequence[str], exchange: Exchange
    ) -> Endpoint | OpenEndpoint:
        methods: list[str] = []
        for endpoint in self._endpoints.get(segments[0], ()) if segments else ():
            parts = match(endpoint.path.split("/"), segments)
            if parts is None:
                continue
            if endpoint.method == method:
                exchange.parts = parts
                return endpoint
            methods.append(endpoint.method)
        if methods:
            allow = ", ".join(dict.fromkeys(methods))
            raise RefusedError(405, f"the method {method} is none of {allow}", allow)
        raise RefusedError(404, "there is nothing at this path")


def split_path(path: str) -> tuple[str, list[str]]:
    """Return the prefix and the segments below it; none for a foreign path.

    Repeated slashes and one at the end are as if they were not there.
    """
    segments = [segment for segment in path.split("/") if segment]
    for prefix in PREFIXES:
        wanted = prefix[1:].split("/")
        if segments[: len(wanted)] == wanted:
            return prefix, segments[len(wanted) :]
    if segments == [HOME[1:], DOCUMENT]:
        return HOME, [DOCUMENT]
    return "", []


def match(pattern: Sequence[str], segments: Sequence[str]) -> tuple[str, ...] | None:
    """Return what stands in the gaps of a pattern, None when it does not fit."""
    rest: tuple[str, ...] = ()
    if pattern[-1] == REST:
        fixed = len(pattern) - 1
        rest = ("/".join(segments[fixed:]),)
        pattern, segments = pattern[:fixed], segments[:fixed]
    if len(pattern) != len(segments):
        return None
    parts = []
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted == GAP:
            parts.append(segment)
        elif wanted != segment:
            return None
    return (*parts, *rest)
