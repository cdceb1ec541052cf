"""``/kv``: small values, private to their user."""

from collections.abc import AsyncIterator, Sequence

from gristmill.dialects.prominence.errors import RefusedError, bad, disabled
from gristmill.dialects.prominence.exchange import Exchange
from gristmill.dialects.prominence.routes import Endpoint, Handler
from gristmill.domain.errors import ConflictError
from gristmill.domain.identity import Identity
from gristmill.services.house import House
from gristmill.services.kv import LARGEST_VALUE, MOST_A_PAGE, Pair

INTERNAL = "_internal_"
"""Keys with this in them are not listed."""

NO_KEY = "Key not specified"


class KeyValueRooms:
    """The endpoints of the key-value store."""

    def __init__(self, house: House, *, enabled: bool) -> None:
        self._kv = house.kv
        self._enabled = enabled

    def endpoints(self) -> list[Endpoint]:
        """Return what is to be routed here."""
        rooms: Sequence[tuple[str, Handler]] = (
            ("GET", self._get),
            ("POST", self._set),
            ("DELETE", self._delete),
        )
        return [
            Endpoint(method, "kv/*", room if self._enabled else _refuse_disabled)
            for method, room in rooms
        ]

    async def _get(self, exchange: Exchange, who: Identity) -> None:
        (key,) = exchange.parts
        if "list" in exchange.query:
            await self._list(exchange, who, key)
            return
        if not key:
            raise bad(NO_KEY)
        value = await self._kv.get(who.user, key)
        if value is None:
            raise RefusedError(404, "No such key")
        await exchange.reply_text(value)

    async def _list(self, exchange: Exchange, who: Identity, prefix: str) -> None:
        if "values" in exchange.query:
            pairs = [pair async for pair in self._pairs(who.user, prefix)]
            await exchange.reply(
                [{f"/{pair.key}": pair.value.decode("utf-8", "replace")} for pair in pairs]
            )
        else:
            await exchange.reply([f"/{key}" async for key in self._keys(who.user, prefix)])

    async def _keys(self, owner: str, prefix: str) -> AsyncIterator[str]:
        after = ""
        while True:
            page = await self._kv.keys(owner, prefix, after)
            for key in page:
                if INTERNAL not in key:
                    yield key
            if len(page) < MOST_A_PAGE:
                return
            after = page[-1]

    async def _pairs(self, owner: str, prefix: str) -> AsyncIterator[Pair]:
        after = ""
        while True:
            page = await self._kv.pairs(owner, prefix, after)
            for pair in page:
                if INTERNAL not in pair.key:
                    yield pair
            if len(page) < MOST_A_PAGE:
                return
            after = page[-1].key

    async def _set(self, exchange: Exchange, who: Identity) -> None:
        (key,) = exchange.parts
        if not key:
            raise bad(NO_KEY)
        value = b""
        async for chunk in exchange.chunks():
            value += chunk
            if len(value) > LARGEST_VALUE:
                raise bad("Content of value too large")
        if not value:
            raise bad("No value provided")
        previous = exchange.query.first("prev").encode() if "prev" in exchange.query else None
        try:
            await self._kv.put(who.user, key, value, previous)
        except ConflictError as error:
            raise bad("Atomic replacement not successful") from error
        await exchange.reply({}, 201)

    async def _delete(self, exchange: Exchange, who: Identity) -> None:
        """Remove a key, or all that begin alike: the client sends that beginning as the key."""
        (key,) = exchange.parts
        by_prefix = "prefix" in exchange.query
        wanted = key or exchange.query.first("prefix").lstrip("/")
        if not wanted:
            raise bad(NO_KEY)
        if by_prefix:
            await self._kv.delete_prefix(who.user, wanted)
        else:
            await self._kv.delete(who.user, wanted)
        await exchange.reply({})


async def _refuse_disabled(_: Exchange, __: Identity) -> None:
    raise disabled()
