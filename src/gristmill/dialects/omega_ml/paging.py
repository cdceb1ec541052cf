"""Lists: a page of what serve rules let a client see."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlencode

from gristmill.dialects.omega_ml.calls import Call
from gristmill.dialects.omega_ml.keys import spellings
from gristmill.dialects.omega_ml.wire import Meta
from gristmill.services.data.place import Listing, Stored

USUAL, MOST = 20, 1000

Lister = Callable[[int, int], Awaitable[Listing]]
"""Given limit and offset."""


class Page(NamedTuple):
    """Objects, and where they stand."""

    meta: Meta
    objects: list[Stored]


async def page(call: Call, lister: Lister) -> Page:
    """Return the page a client asks for, by name. Raises RefusedError."""
    limit, offset = window(call)
    if call.rules.open:
        found = await lister(limit, offset)
        return Page(meta(call, limit, offset, found.total), found.objects)
    seen = await _seen(call, lister)
    return Page(meta(call, limit, offset, len(seen)), seen[offset : offset + limit])


def window(call: Call) -> tuple[int, int]:
    """Return limit and offset. Raises RefusedError."""
    limit = call.number("limit")
    limit = USUAL if limit is None else min(limit or MOST, MOST)
    return limit, call.number("offset") or 0


async def _seen(call: Call, lister: Lister) -> list[Stored]:
    """Return all objects that may be read; how many there are is not known without looking."""
    resource, seen, offset = call.operation.resource, list[Stored](), 0
    call.rules.check_resource(resource)
    while True:
        found = await lister(MOST, offset)
        seen += [
            each
            for each in found.objects
            if call.rules.passes(resource, spellings(resource, each.name), call.operation.rule)
        ]
        offset += len(found.objects)
        if len(found.objects) < MOST:
            return seen


def meta(call: Call, limit: int, offset: int, total: int) -> Meta:
    """Return where a page stands."""
    after = offset + limit if offset + limit < total else None
    before = offset - limit if offset - limit >= 0 and offset > 0 else None
    return Meta(
        limit=limit,
        next=_neighbour(call, limit, after),
        offset=offset,
        previous=_neighbour(call, limit, before),
        total_count=total,
    )


def _neighbour(call: Call, limit: int, offset: int | None) -> str | None:
    if offset is None:
        return None
    others = [pair for pair in call.exchange.query if pair[0] not in {"limit", "offset"}]
    words = urlencode([("limit", limit), ("offset", offset), *others])
    path = call.exchange.path.rstrip("/")
    return f"{call.exchange.mount}{path}/?{words}"
