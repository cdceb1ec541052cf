"""Which path leads where, and which methods it takes."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gristmill.dialects.job_runner.access import Access
from gristmill.dialects.job_runner.bodies import read_fields, read_object, require
from gristmill.dialects.job_runner.context import Changer, Context, Found, Maker, Shelf
from gristmill.dialects.job_runner.errors import (
    ClientGoneError,
    RefusedError,
    missing,
    refusal,
    unauthorized,
)
from gristmill.dialects.job_runner.exchange import (
    Answer,
    App,
    Receive,
    Request,
    Scope,
    Send,
    accepted,
    created,
    json_answer,
    not_allowed,
    options,
    refused,
    send_answer,
)
from gristmill.dialects.job_runner.filters import read_filters
from gristmill.dialects.job_runner.pages import LOGIN, LOGOUT, Pages
from gristmill.dialects.job_runner.paging import envelope, read_window
from gristmill.dialects.job_runner.resources import (
    GET,
    RESOURCES,
    Resource,
    root_document,
    schema_document,
)
from gristmill.dialects.job_runner.uris import API, MOUNT, read_id, uri
from gristmill.domain.errors import GristmillError
from gristmill.services.directory import Directory

EVENTS = "/ws"
"""Below the mount, dashboards follow events here."""

FORM_METHODS = ("GET", "POST")
MOST_IN_A_SET = 1000

_MISPRINTS = (
    (re.compile(r"/api/vi/worker-pools/([^/]+)/?"), "worker_pool"),
    (re.compile(r"/api/vi/run_log/([^/]+)/?"), "run_log"),
)
"""Spellings of the interface's document, which are read as they were meant."""

Act = Callable[[Context], Awaitable[Answer]]


class Endpoint(NamedTuple):
    """What answers a path. open: without credentials."""

    methods: tuple[str, ...]
    resource: Resource
    act: Act


class Routes:
    """The ASGI app: finds the endpoint, checks the caller, and words what goes wrong."""

    def __init__(
        self,
        directory: Directory,
        access: Access,
        pages: Pages,
        shelves: Mapping[str, Shelf],
        relay: App,
        zone: ZoneInfo,
    ) -> None:
        self._directory, self._access, self._pages = directory, access, pages
        self._shelves, self._relay, self._zone = shelves, relay, zone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == MOUNT + EVENTS or scope["type"] == "websocket":
            await self._relay(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except RefusedError as error:
            answer = refused(error)
        except GristmillError as error:
            answer = refused(refusal(error))
        except ClientGoneError:
            return
        await send_answer(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        mount, path = split_mount(scope["path"])
        request = Request(scope, receive, mount, path)
        if path in (LOGIN, LOGOUT):
            return await self._page(request)
        if path == API:
            return _open(request, json_answer(root_document(mount + API)))
        endpoint = self._endpoint(path)
        if endpoint is None:
            return self._elsewhere(request)
        if request.method == "OPTIONS":
            return options(endpoint.methods)
        if request.method not in endpoint.methods:
            return not_allowed(endpoint.methods)
        snapshot = await self._directory.get()
        reach = await self._access.identify(request, endpoint.resource.key, snapshot)
        return await endpoint.act(Context(request, snapshot, reach, self._zone))

    async def _page(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return options(FORM_METHODS)
        if request.method not in FORM_METHODS:
            return not_allowed(FORM_METHODS)
        if request.path == LOGIN:
            return await self._pages.log_in(request)
        return await self._pages.log_out(request)

    def _elsewhere(self, request: Request) -> Answer:
        """Send a GET that lacks its last slash to where it has one."""
        slashed = request.path + "/"
        known = slashed in (API, LOGIN, LOGOUT) or self._endpoint(slashed) is not None
        if request.path.endswith("/") or not known:
            raise missing()
        if request.method != "GET":
            return json_answer({"error_message": f"the path ends in a slash: {slashed}"}, 404)
        path, mark, query = request.target.partition(b"?")
        return Answer(301, b"", ((b"location", path + b"/" + mark + query),))

    def _endpoint(self, path: str) -> Endpoint | None:
        for misprint, key in _MISPRINTS:
            if found := misprint.fullmatch(path):
                resource = RESOURCES[key]
                return Endpoint(GET, resource, self._single(resource, found.group(1)))
        if not path.startswith(API) or not path.endswith("/"):
            return None
        key, *rest = path.removeprefix(API)[:-1].split("/")
        known = RESOURCES.get(key)
        return None if known is None else self._below(known, rest)

    def _below(self, resource: Resource, rest: list[str]) -> Endpoint | None:
        if not rest:
            return Endpoint(resource.listing, resource, self._list(resource))
        if rest == ["schema"]:
            return Endpoint(GET, resource, self._schema(resource))
        if len(rest) == 2 and rest[0] == "set" and rest[1]:
            return Endpoint(GET, resource, self._set(resource, rest[1]))
        if len(rest) == 1 and rest[0]:
            return Endpoint(resource.single, resource, self._single(resource, rest[0]))
        return None

    def _list(self, resource: Resource) -> Act:
        async def act(context: Context) -> Answer:
            if context.request.method == "POST":
                return await self._create(context, resource)
            request, shelf = context.request, self._shelves[resource.key]
            window = read_window(request.query)
            filters = read_filters(resource, request.query, self._zone)
            page = await shelf.page(context, filters, window)
            path = f"{request.mount}{API}{resource.key}/"
            return json_answer(envelope(page.documents, page.total, window, path, request.query))

        return act

    async def _create(self, context: Context, resource: Resource) -> Answer:
        maker: Maker = self._shelves[resource.key]  # type: ignore[assignment]
        fields = read_fields(resource, read_object(context.request), self._zone)
        require(resource, fields)
        number = await maker.create(context, fields)
        return created(context.request, uri(context.mount, resource.key, number))

    def _single(self, resource: Resource, text: str) -> Act:
        async def act(context: Context) -> Answer:
            number = read_id(text)
            if number is None:
                raise missing()
            document = _only(await self._shelves[resource.key].find(context, [number]), number)
            if context.request.method == "GET":
                return json_answer(document)
            changer: Changer = self._shelves[resource.key]  # type: ignore[assignment]
            fields = read_fields(resource, read_object(context.request), self._zone)
            await changer.change(context, number, fields)
            return Answer(204) if context.request.method == "PUT" else accepted()

        return act

    def _set(self, resource: Resource, text: str) -> Act:
        async def act(context: Context) -> Answer:
            texts = [part for part in text.split(";") if part]
            if len(texts) > MOST_IN_A_SET:
                raise RefusedError(400, f"set: more than {MOST_IN_A_SET} ids at a time")
            ids = {part: read_id(part) for part in texts}
            wanted = [number for number in ids.values() if number is not None]
            found = await self._shelves[resource.key].find(context, wanted)
            if found.hidden:
                raise unauthorized()
            there = {part: number in found.documents for part, number in ids.items()}
            document: dict[str, object] = {
                "objects": [found.documents[ids[part] or 0] for part in texts if there[part]]
            }
            if not all(there.values()):
                document["not_found"] = [part for part in texts if not there[part]]
            return json_answer(document)

        return act

    def _schema(self, resource: Resource) -> Act:
        async def act(context: Context) -> Answer:
            del context
            return json_answer(schema_document(resource))

        return act


def _open(request: Request, answer: Answer) -> Answer:
    if request.method == "OPTIONS":
        return options(GET)
    return answer if request.method == "GET" else not_allowed(GET)


def _only(found: Found, number: int) -> dict[str, object]:
    if found.hidden:
        raise unauthorized()
    if number not in found.documents:
        raise missing()
    return found.documents[number]


def split_mount(path: str) -> tuple[str, str]:
    """Return the prefix a request came through, empty without one, and the path below it."""
    return (MOUNT, path.removeprefix(MOUNT)) if path.startswith(f"{MOUNT}/") else ("", path)
