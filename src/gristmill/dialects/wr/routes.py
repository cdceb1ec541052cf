"""Which path leads where."""

from collections.abc import Awaitable, Callable

from gristmill.dialects.wr.access import identify
from gristmill.dialects.wr.errors import (
    NOT_FOUND,
    ClientGoneError,
    RefusedError,
    refusal,
)
from gristmill.dialects.wr.exchange import Exchange, Receive, Scope, Send, refuse
from gristmill.dialects.wr.jobs import Jobs
from gristmill.dialects.wr.manager import Manager, version
from gristmill.dialects.wr.queries import parse_query
from gristmill.domain.errors import GristmillError
from gristmill.domain.identity import Identity
from gristmill.services.tokens import Tokens

MOUNT = "/wr"
_ROOT = "/rest/"
_VERSION = "version"

Handler = Callable[[Exchange, Identity], Awaitable[None]]


class Routes:
    """The ASGI app: finds the endpoint, checks the caller, and words what goes wrong."""

    def __init__(self, tokens: Tokens, jobs: Jobs, manager: Manager) -> None:
        self._tokens = tokens
        self._handlers: dict[str, Handler] = {
            "v1/jobs": jobs.handle,
            "v1/info": manager.info,
            "v1/upload": manager.upload,
            "v1/warnings": manager.warnings,
            "v1/servers": manager.servers,
        }

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
        endpoint, rest = split_path(scope["path"])
        if endpoint != _VERSION and endpoint not in self._handlers:
            raise RefusedError(404, NOT_FOUND)
        query = parse_query(scope["query_string"])
        exchange = Exchange(scope, receive, send, rest, query)
        if endpoint == _VERSION:
            await version(exchange)
            return
        who = await identify(self._tokens, scope, query)
        await self._handlers[endpoint](exchange, who)


def split_path(path: str) -> tuple[str, str]:
    """Return the endpoint, such as ``v1/jobs``, and what follows it; empty for a foreign path."""
    below = path.removeprefix(MOUNT) if path.startswith(f"{MOUNT}/") else path
    if not below.startswith(_ROOT):
        return "", ""
    below = below.removeprefix(_ROOT)
    first, _, rest = below.partition("/")
    if first == _VERSION:
        return first, rest
    second, _, rest = rest.partition("/")
    return f"{first}/{second}", rest
