"""/v1/objects, /v1/kv, /v1/usage: what people keep here, and what they used."""

from datetime import date, timedelta
from typing import Annotated

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from gristmill.domain.errors import InvalidInputError, NotFoundError, NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.domain.objects import LONGEST_NAME, Space
from gristmill.native import documented, wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json
from gristmill.native.parameters import AnyRequest
from gristmill.native.translate import object_view
from gristmill.services.accounting import DAY
from gristmill.services.house import House
from gristmill.services.objects.store import MOST_A_PAGE

UPLOAD_LIFETIME = 3_600.0
DOWNLOAD_LIFETIME = 3_600.0
"""Seconds for which a URL can be used."""

LARGEST_BODY = 256 << 10
EPOCH = date(1970, 1, 1)
FIRST_DAY = (EPOCH - date.min).days
DEFAULT_DAYS = 30

Group = Annotated[
    str | None, QueryParameter(max_length=255, description="a group's objects; else the caller's")
]
Prefix = Annotated[
    str, QueryParameter(max_length=LONGEST_NAME, description="what the names begin with")
]
After = Annotated[
    str, QueryParameter(max_length=LONGEST_NAME, description="only names that follow this one")
]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_A_PAGE, description="at most so many")]
Day = Annotated[str | None, QueryParameter(description="a day in UTC, such as 2026-01-31")]


class ObjectRoutes(Controller):
    """Stored objects. Their bytes go through signed URLs, which need no credential."""

    path = "/v1/objects"
    tags = ("objects",)

    @get(summary="List objects")
    async def list_objects(
        self,
        house: TheHouse,
        reader: Caller,
        group: Group = None,
        prefix: Prefix = "",
        after: After = "",
        limit: Limit = MOST_A_PAGE,
    ) -> wire.ObjectList:
        """Return objects by name; next: give it as after for what follows."""
        found = await house.objects.list(_space(reader, group), prefix, after, limit)
        following = found[-1].name if len(found) == limit else None
        return wire.ObjectList([object_view(each) for each in found], following)

    @post(operation_class=documented.OBJECT_BODY, summary="Ask where to upload an object")
    async def upload(
        self, request: AnyRequest, house: TheHouse, writer: Caller
    ) -> wire.ObjectUpload:
        """Return the URL to which the bytes are to be PUT; they replace what the name had."""
        new = await read_json(request, wire.NewObject)
        url = house.objects.put_url(
            _space(writer, new.group),
            new.name,
            base_of(request, house),
            UPLOAD_LIFETIME,
            sha256=new.sha256,
            size=new.size,
        )
        return wire.ObjectUpload(new.name, url, UPLOAD_LIFETIME)

    @get("/{name:path}", summary="One object and where its bytes are")
    async def detail(
        self,
        request: AnyRequest,
        house: TheHouse,
        reader: Caller,
        name: FromPath[str],
        group: Group = None,
    ) -> wire.ObjectDetail:
        """Return an object with a URL from which its bytes can be fetched for an hour."""
        space, plain = _space(reader, group), name.removeprefix("/")
        found = await house.objects.find(space, plain)
        if found is None:
            raise NotFoundError(f"there is no object {plain[:200]!r}")
        url = house.objects.get_url(space, plain, base_of(request, house), DOWNLOAD_LIFETIME)
        return wire.ObjectDetail(object_view(found), url, DOWNLOAD_LIFETIME)

    @delete("/{name:path}", summary="Remove an object")
    async def remove(
        self, house: TheHouse, writer: Caller, name: FromPath[str], group: Group = None
    ) -> None:
        """Remove an object; whoever reads it now can read it to its end."""
        plain = name.removeprefix("/")
        if not await house.objects.delete(_space(writer, group), plain):
            raise NotFoundError(f"there is no object {plain[:200]!r}")


class KeyValueRoutes(Controller):
    """Small values under keys, private to the caller."""

    path = "/v1/kv"
    tags = ("kv",)

    @get(summary="List keys")
    async def list_keys(
        self,
        house: TheHouse,
        reader: Caller,
        prefix: Prefix = "",
        after: After = "",
        limit: Limit = MOST_A_PAGE,
    ) -> wire.KeyList:
        """Return keys in order; next: give it as after for what follows."""
        keys = await house.kv.keys(reader.user, prefix, after, limit)
        return wire.KeyList(keys, keys[-1] if len(keys) == limit else None)

    @get("/{key:path}", summary="One value", media_type="application/octet-stream")
    async def read(self, house: TheHouse, reader: Caller, key: FromPath[str]) -> Response[bytes]:
        """Return the value as it was put."""
        value = await house.kv.get(reader.user, key.removeprefix("/"))
        if value is None:
            raise NotFoundError(f"there is no key {key.removeprefix('/')[:200]!r}")
        return Response(
            value,
            media_type="application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    @put(
        "/{key:path}",
        status_code=204,
        operation_class=documented.VALUE_BODY,
        summary="Set a value",
        responses=documented.CONFLICT,
        request_max_body_size=LARGEST_BODY,
    )
    async def write(
        self,
        request: AnyRequest,
        house: TheHouse,
        writer: Caller,
        key: FromPath[str],
        previous: Annotated[
            str | None, QueryParameter(description="the value it must have now, else 409")
        ] = None,
    ) -> None:
        """Set the value to the body's bytes, whatever their type."""
        expected = None if previous is None else previous.encode()
        await house.kv.put(writer.user, key.removeprefix("/"), await request.body(), expected)

    @delete("/{key:path}", summary="Remove a key")
    async def remove(self, house: TheHouse, writer: Caller, key: FromPath[str]) -> None:
        """Remove a key and its value."""
        plain = key.removeprefix("/")
        if not await house.kv.delete(writer.user, plain):
            raise NotFoundError(f"there is no key {plain[:200]!r}")


class UsageRoutes(Controller):
    """What was used."""

    path = "/v1/usage"
    tags = ("usage",)

    @get(summary="What was used, by owner and project")
    async def show(
        self, house: TheHouse, reader: Caller, start: Day = None, end: Day = None
    ) -> wire.UsageList:
        """Return sums over jobs submitted from start to end, both included; else of 30 days.

        Administrators see everybody's, others their own.
        """
        today = int(house.chance.now() // DAY)
        last = today if end is None else _day(end, "end")
        first = min(last, today) - DEFAULT_DAYS if start is None else _day(start, "start")
        used = await house.usage.of_all(reader, first, last)
        views = [wire.UsageView(*each) for each in used]
        return wire.UsageList(_date(first), _date(last), views)


class LoginRoutes(Controller):
    """Logins that a terminal has begun."""

    path = "/v1/logins"
    tags = ("tokens",)

    @post("/{code:str}/approve", status_code=204, summary="Approve one")
    async def approve(self, house: TheHouse, writer: Caller, code: FromPath[str]) -> None:
        """Let the terminal that shows the code have a token of the caller's."""
        await house.device_logins.approve(writer, code)


def _space(who: Identity, group: str | None) -> Space:
    if group is None:
        return Space.user(who.user)
    if not who.admin and group not in who.groups:
        raise NotPermittedError(f"{who.user} is not in the group {group!r}")
    return Space.group(group)


def base_of(request: AnyRequest, house: House) -> str:
    """Return the base URL under which this client reaches the server."""
    return house.reach.for_client(request.scope["scheme"], request.headers.get("host", ""))


def _date(day: int) -> date:
    return EPOCH + timedelta(days=max(day, -FIRST_DAY))


def _day(text: str, field: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text[:80]!r} is not a day such as 2026-01-31", field) from error
    return (day - EPOCH).days
