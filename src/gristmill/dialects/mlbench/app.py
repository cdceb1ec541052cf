"""The interface as an ASGI app: which path leads where."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from gristmill.agent.node import own_address
from gristmill.dialects.mlbench.access import Access
from gristmill.dialects.mlbench.errors import ClientGoneError, RefusedError, detail, refusal
from gristmill.dialects.mlbench.exchange import App, Exchange, Receive, Scope, Send, header
from gristmill.dialects.mlbench.images import TEMPLATES
from gristmill.dialects.mlbench.logins import SITE
from gristmill.dialects.mlbench.metrics import Metrics
from gristmill.dialects.mlbench.pods import (
    PREFIX,
    Pod,
    external_pod,
    is_run_pod,
    labels,
    standing_pods,
)
from gristmill.dialects.mlbench.requests import SEED
from gristmill.dialects.mlbench.runs import Runs, not_allowed
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.dialects.mlbench.site import Site
from gristmill.domain.errors import GristmillError
from gristmill.domain.identity import Identity
from gristmill.domain.state import ACTIVE
from gristmill.services.house import House

MOUNT = "/mlbench"
ROOT = "/api"
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Handler = Callable[[Exchange, Identity, str], Awaitable[None]]


class Endpoint:
    """A place below the root: its handler and the methods there and one level below."""

    def __init__(
        self, handler: Handler, methods: tuple[str, ...], below: tuple[str, ...] = ()
    ) -> None:
        self.handler, self._methods, self._below = handler, methods, below

    def check(self, method: str, key: str) -> None:
        """Refuse what this place does not do."""
        methods = self._below if key else self._methods
        if not methods:
            raise detail(404, "Not found.")
        if method not in methods:
            raise not_allowed(*methods, "HEAD", "OPTIONS")


class Mlbench:
    """The ASGI app."""

    def __init__(self, house: House, settings: MlbenchSettings) -> None:
        self._house, self._settings = house, settings
        self._host = own_address()
        self._access = Access(house.tokens, settings, house.web_sessions(SITE))
        self._runs = Runs(house, settings, self._host)
        self._site = Site(house, settings, self._access, self._runs, self._known_pods)
        metrics = Metrics(house, self._runs)
        self._endpoints = {
            "": Endpoint(self._root, ("GET",)),
            "pods": Endpoint(self._pods, ("GET",)),
            "images": Endpoint(self._images, ("GET",)),
            "metrics": Endpoint(metrics.handle, ("GET", "POST"), ("GET",)),
            "runs": Endpoint(self._runs.handle, ("GET", "POST"), ("GET", "DELETE")),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        place = scope["path"].removeprefix(MOUNT)
        if place != ROOT and not place.startswith(f"{ROOT}/"):
            await self._site(scope, receive, send)
            return
        path = place.removeprefix(ROOT).strip("/")
        try:
            exchange = Exchange(scope, receive, send, path)
        except RefusedError as error:
            plain = Exchange({**scope, "query_string": b""}, receive, send, path)
            await plain.refuse(error)
            return
        try:
            await self._route(exchange)
        except RefusedError as error:
            await exchange.refuse(error)
        except GristmillError as error:
            await exchange.refuse(refusal(error))
        except ClientGoneError:
            return

    async def _route(self, exchange: Exchange) -> None:
        name, _, key = exchange.path.partition("/")
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise detail(404, "Not found.")
        method = exchange.method
        if method == "OPTIONS":
            await exchange.reply(_describe(name))
            return
        endpoint.check(method, key)
        who = await self._access.admit(exchange.scope, writing=method in WRITING)
        await endpoint.handler(exchange, who, key)

    async def _root(self, exchange: Exchange, who: Identity, key: str) -> None:  # noqa: ARG002
        exchange.check_format()
        scope = exchange.scope
        host = header(scope, b"host") or "localhost"
        mount = MOUNT if scope["path"].startswith(f"{MOUNT}/") else ""
        base = f"{scope.get('scheme', 'http')}://{host}{mount}{ROOT}"
        await exchange.reply({name: f"{base}/{name}/" for name in ("pods", "runs", "metrics")})

    async def _images(self, exchange: Exchange, who: Identity, key: str) -> None:  # noqa: ARG002
        exchange.check_format()
        await exchange.reply([template.shown() for template in TEMPLATES])

    async def _pods(self, exchange: Exchange, who: Identity, key: str) -> None:  # noqa: ARG002
        exchange.check_format()
        await exchange.reply([_shown(pod) async for pod in self._known_pods(who)])

    async def _known_pods(self, who: Identity) -> AsyncGenerator[Pod, None]:
        pods = {pod.name: pod for pod in standing_pods(self._settings, self._host)}
        async for run in self._runs.all(who, tuple(ACTIVE)):
            phase = "Running" if run.word == "STARTED" else "Pending"
            mark = None if run.facts.profile == SEED else run.facts.name
            for name in run.facts.pods:
                shown = Pod(name, phase, self._host, labels(self._settings, mark))
                pods.setdefault(name, shown)
        async for name in self._heard_of(who):
            if name not in pods and not is_run_pod(self._settings, name):
                pods[name] = external_pod(name)
        for pod in pods.values():
            yield pod

    async def _heard_of(self, who: Identity) -> Any:
        after = PREFIX
        while names := await self._house.metrics.sources(who, after=after):
            for name in names:
                if not name.startswith(PREFIX):
                    return
                yield name.removeprefix(PREFIX)
            after = names[-1]


def create_mlbench_app(house: House, settings: MlbenchSettings) -> App:
    """Return an ASGI app for ``/api/…`` and ``/mlbench/api/…``."""
    return Mlbench(house, settings)


def _shown(pod: Pod) -> dict[str, str]:
    return {"name": pod.name, "labels": pod.labels, "phase": pod.phase, "ip": pod.ip}


def _describe(name: str) -> dict[str, Any]:
    return {
        "name": f"{name or 'api root'}".title(),
        "description": "",
        "renders": ["application/json", "text/javascript"],
        "parses": [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ],
    }
