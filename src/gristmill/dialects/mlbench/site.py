"""Which page a path leads to, and what is on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from gristmill.dialects.mlbench import pages
from gristmill.dialects.mlbench.access import FOREIGN, Access, is_cross_site
from gristmill.dialects.mlbench.bodies import FORM, mapping, parse_body, text
from gristmill.dialects.mlbench.errors import ClientGoneError, RefusedError, detail, refusal
from gristmill.dialects.mlbench.exchange import Exchange, Receive, Scope, Send, answer, header
from gristmill.dialects.mlbench.logins import cookie
from gristmill.dialects.mlbench.pods import Pod, source_of
from gristmill.dialects.mlbench.runs import Runs
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.domain.errors import GristmillError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import source_of_job
from gristmill.services.house import House
from gristmill.web.markup import Markup

HTML = b"text/html; charset=utf-8"
FOREVER = b"public, max-age=31536000, immutable"
LOGIN = "login"
NOTHING = "There is no such page."

Pods = Callable[[Identity], AsyncIterator[Pod]]
Render = Callable[[Identity, str, str], Awaitable[Markup]]


class Site:
    """The app of the pages."""

    def __init__(
        self, house: House, settings: MlbenchSettings, access: Access, runs: Runs, pods: Pods
    ) -> None:
        self._house, self._settings, self._access = house, settings, access
        self._runs, self._pods = runs, pods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its path is below ``/mlbench``, or ``/runs…`` or ``/worker…``."""
        path, home = _place(scope)
        if path == LOGIN:
            await self._log_in(scope, receive, send, home)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await _show(send, 405, pages.problem_page(home, 405, "Pages are only read."))
            return
        if path is None:
            await answer(send, 307, b"", [(b"location", home.encode())])
            return
        if path.startswith("static/"):
            await self._send_asset(scope, send, home, path.removeprefix("static/"))
            return
        await self._send_page(scope, send, home, path)

    async def _send_page(self, scope: Scope, send: Send, home: str, path: str) -> None:
        try:
            who = await self._access.admit(scope, writing=False)
            status, content = 200, await self._render(who, home, path.strip("/"))
        except (RefusedError, GristmillError) as error:
            refused = error if isinstance(error, RefusedError) else refusal(error)
            if refused.status == 401 and header(scope, b"authorization") is None:
                where = f"{home}{LOGIN}?{urlencode({'next': path})}"
                await answer(send, 303, b"", [(b"location", where.encode())])
                return
            status, content = refused.status, _problem(home, refused)
        await _show(send, status, content)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send, home: str) -> None:
        """Ask for a token, or take one and lead to the page that was wanted."""
        try:
            exchange = Exchange(scope, receive, send, LOGIN)
            if scope["method"] != "POST":
                await self._ask(scope, send, home, exchange.query.get("next", ""))
                return
            if is_cross_site(scope):
                raise detail(403, FOREIGN)
            kind, raw = await exchange.raw_body()
            fields = mapping(parse_body(kind or FORM, raw))
            wanted = text(fields, "next")
            handle = await self._access.log_in(text(fields, "token").strip())
        except ClientGoneError:
            return
        except (RefusedError, GristmillError) as error:
            refused = error if isinstance(error, RefusedError) else refusal(error)
            await _show(send, refused.status, pages.login_page(home, "", words_of(refused)))
            return
        place = (b"location", _own_place(home, wanted))
        await answer(send, 303, b"", [place, (b"set-cookie", cookie(scope, handle))])

    async def _ask(self, scope: Scope, send: Send, home: str, wanted: str) -> None:
        try:
            await self._access.admit(scope, writing=False)
        except (RefusedError, GristmillError):
            await _show(send, 200, pages.login_page(home, wanted))
        else:
            await answer(send, 303, b"", [(b"location", _own_place(home, wanted))])

    async def _render(self, who: Identity, home: str, path: str) -> Markup:
        place, _, key = path.partition("/")
        if not path:
            return pages.pods_page(home, [pod async for pod in self._pods(who)])
        if place == "runs":
            return await (self._run(who, home, key) if key else self._list(who, home))
        if place == "worker" and key:
            return await self._worker(who, home, key)
        raise NotFoundError(NOTHING)

    async def _list(self, who: Identity, home: str) -> Markup:
        runs = [await self._runs.shown(who, run) async for run in self._runs.all(who)]
        return pages.runs_page(home, reversed(runs), self._settings)

    async def _run(self, who: Identity, home: str, key: str) -> Markup:
        run = await self._runs.find(who, key)
        names = await self._house.metrics.reader.names(who, source_of_job(run.id))
        return pages.run_page(home, await self._runs.shown(who, run), names)

    async def _worker(self, who: Identity, home: str, pod: str) -> Markup:
        try:
            names = await self._house.metrics.reader.names(who, source_of(pod))
        except NotFoundError:
            if pod not in [each.name async for each in self._pods(who)]:
                raise NotFoundError(NOTHING) from None
            names = []
        return pages.worker_page(home, pod, names)

    async def _send_asset(self, scope: Scope, send: Send, home: str, name: str) -> None:
        kind = pages.ASSETS.get(name)
        if kind is None:
            await _show(send, 404, pages.problem_page(home, 404, NOTHING))
            return
        current = scope["query_string"] == f"v={pages.digest(name)}".encode()
        kept = FOREVER if current else b"no-cache"
        headers = [(b"content-type", kind.encode()), (b"cache-control", kept)]
        await answer(
            send, 200, pages.asset(name), [*headers, (b"x-content-type-options", b"nosniff")]
        )


def _place(scope: Scope) -> tuple[str | None, str]:
    """Return the path below the pages' root, and the way from there back to the root.

    The path is None where the root is named without its slash, and the way leads to the slash.
    Pages also stand at the server's root, where the way leads over to the mount.
    """
    path: str = scope["path"]
    below = path.lstrip("/")
    # A slash within a name is quoted, and is none to the browser.
    sent: bytes = scope.get("raw_path") or path.encode()
    if below == "mlbench":
        return None, "mlbench/"
    up = "../" * sent.partition(b"?")[0].lstrip(b"/").count(b"/")
    if below.startswith("mlbench/"):
        return below.removeprefix("mlbench/"), up.removeprefix("../") or "./"
    return below, f"{up}mlbench/"


def _own_place(home: str, wanted: str) -> bytes:
    """Return the way to a page of ours, never to another site."""
    return f"{home}{quote(wanted.lstrip('/'), safe='/%')}".encode()


def words_of(error: RefusedError) -> str:
    """Return what a refusal says."""
    body: dict[str, Any] = error.body
    return str(body.get("message") or body.get("detail"))


def _problem(home: str, error: RefusedError) -> Markup:
    return pages.problem_page(home, error.status, words_of(error))


async def _show(send: Send, status: int, content: Markup) -> None:
    headers = [(b"content-type", HTML), (b"cache-control", b"no-store")]
    safe = [(b"x-content-type-options", b"nosniff"), *pages.HEADERS]
    await answer(send, status, content.encode(), [*headers, *safe])
