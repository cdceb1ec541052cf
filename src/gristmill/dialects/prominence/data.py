"""``/data``: stored objects, and the signed URLs through which their bytes go."""

from collections.abc import AsyncIterator, Callable, Sequence
from email.utils import formatdate
from typing import Any, TypeVar

from gristmill.dialects.prominence.data_names import check_member, space_of
from gristmill.dialects.prominence.errors import RefusedError, bad, disabled
from gristmill.dialects.prominence.exchange import Exchange, header
from gristmill.dialects.prominence.routes import Endpoint, Handler
from gristmill.domain.errors import NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.domain.objects import Space, StoredObject
from gristmill.services.house import House
from gristmill.services.objects.store import MOST_A_PAGE

T = TypeVar("T")

UPLOAD_LIFETIME = 600.0
OUTPUT_LIFETIME = 7 * 86_400.0
"""Seconds for which a URL can be used."""

NO_NAME = "An object name must be specified"
NOT_THIS_PATH = "Not authorized to access this path"
NOT_THIS_UPLOAD = "Not authorized to access upload with this path"
NOT_THIS_OBJECT = "Not authorized to access this object"


class Data:
    """The endpoints of the object store."""

    def __init__(self, house: House, *, enabled: bool) -> None:
        self._house = house
        self._enabled = enabled

    def endpoints(self) -> list[Endpoint]:
        """Return what is to be routed here."""
        rooms: Sequence[tuple[str, str, Handler]] = (
            ("POST", "data/upload", self._upload),
            ("POST", "data/output", self._output),
            ("POST", "data", self._upload),
            ("GET", "data/*", self._list),
            ("DELETE", "data/*", self._delete),
        )
        return [Endpoint(method, path, self._guarded(room)) for method, path, room in rooms]

    def _guarded(self, handler: Handler) -> Handler:
        return handler if self._enabled else _refuse_disabled

    def _base(self, exchange: Exchange) -> str:
        host = header(exchange.scope, b"host") or ""
        return self._house.reach.for_client(exchange.scope["scheme"], host)

    async def _upload(self, exchange: Exchange, who: Identity) -> None:
        wish = await _upload_wish(exchange)
        name = _text(wish, "filename") or exchange.query.first("name")
        checksum = _text(wish, "checksum") or exchange.query.first("checksum")
        if not name:
            raise bad(NO_NAME)
        space, inner = _permitted(lambda: space_of(who, name), NOT_THIS_UPLOAD)
        url = self._house.objects.put_url(
            space, inner, self._base(exchange), UPLOAD_LIFETIME, sha256=checksum or None
        )
        await exchange.reply({"url": url}, 201)

    async def _output(self, exchange: Exchange, who: Identity) -> None:
        if not who.job:
            raise bad("A JWT token is required")
        name = _text(_object(await exchange.json()), "name")
        if not name:
            raise bad("Name not specified")
        url = self._house.objects.put_url(
            Space.job(who.job), name, self._house.job_base, OUTPUT_LIFETIME
        )
        await exchange.reply({"url": url}, 201)

    async def _list(self, exchange: Exchange, who: Identity) -> None:
        (path,) = exchange.parts
        if not path:
            space, prefix, shown = Space.user(who.user), "", ""
        else:
            group, _, prefix = path.partition("/")
            _permitted(lambda: check_member(who, group), NOT_THIS_PATH)
            space, shown = Space.group(group), f"{group}/"
        found = [each async for each in self._all(space, prefix)]
        # A name with a slash would be taken for a group's, so an own one has no name here.
        listed = [each for each in found if shown or "/" not in each.name]
        await exchange.reply([_item(each, shown) for each in listed])

    async def _all(self, space: Space, prefix: str) -> AsyncIterator[StoredObject]:
        after = ""
        while True:
            page = await self._house.objects.list(space, prefix, after)
            for each in page:
                yield each
            if len(page) < MOST_A_PAGE:
                return
            after = page[-1].name

    async def _delete(self, exchange: Exchange, who: Identity) -> None:
        (path,) = exchange.parts
        if not path:
            raise bad(NO_NAME)
        space, name = _permitted(lambda: space_of(who, path), NOT_THIS_OBJECT)
        await self._house.objects.delete(space, name)
        await exchange.reply_empty(204)


async def _refuse_disabled(_: Exchange, __: Identity) -> None:
    raise disabled()


async def _upload_wish(exchange: Exchange) -> dict[str, Any]:
    """Return the body's object; what says all in the query may send no body."""
    if "name" in exchange.query:
        return {}
    return _object(await exchange.json())


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise bad("the request body must be an object")
    return body


def _text(wish: dict[str, Any], key: str) -> str:
    value = wish.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(f"{key} must be a string")
    return value


def _permitted(act: Callable[[], T], refusal: str) -> T:
    try:
        return act()
    except NotPermittedError as error:
        raise RefusedError(403, refusal) from error


def _item(each: StoredObject, prefix: str) -> dict[str, object]:
    return {
        "name": prefix + each.name,
        "size": each.size,
        "lastModified": formatdate(each.modified_at, usegmt=True),
    }
