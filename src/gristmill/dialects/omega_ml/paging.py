"""Lists: a page of what serve rules let a client see."""

import contextlib
from typing import NamedTuple
from urllib.parse import urlencode

from gristmill.dialects.omega_ml.calls import Call
from gristmill.dialects.omega_ml.keys import spellings
from gristmill.dialects.omega_ml.wire import Meta
from gristmill.domain.errors import NotFoundError
from gristmill.services.data.core import DataCore
from gristmill.services.data.place import Stored

USUAL, MOST = 20, 1000


class Page(NamedTuple):
    """Objects, and where they stand."""

    meta: Meta
    objects: list[Stored]


async def page(call: Call, core: DataCore, kind: str) -> Page:
    """Return the page a client asks for, by name. Raises RefusedError."""
    limit, offset = window(call)
    if call.rules.open:
        found = await core.list(call.place, kind, limit, offset)
        return Page(meta(call, limit, offset, found.total), found.objects)
    shown, total = await _readable(call, core, kind, limit, offset)
    objects = []
    for name in shown:
        # What is deleted meanwhile is no more on the page.
        with contextlib.suppress(NotFoundError):
            objects.append(await core.get(call.place, kind, name))
    return Page(meta(call, limit, offset, total), objects)


def window(call: Call) -> tuple[int, int]:
    """Return limit and offset. Raises RefusedError."""
    limit = call.number("limit")
    limit = USUAL if limit is None else min(limit or MOST, MOST)
    return limit, call.number("offset") or 0


async def _readable(
    call: Call, core: DataCore, kind: str, limit: int, offset: int
) -> tuple[list[str], int]:
    """Return which names are on the page, and how many may be read at all.

    That is not known without looking at each; they are looked at in batches, names alone.
    """
    resource, shown, total, after = call.operation.resource, list[str](), 0, ""
    call.rules.check_resource(resource)
    while True:
        names = await core.names(call.place, kind, after=after, limit=MOST)
        for name in names:
            if call.rules.passes(resource, spellings(resource, name), call.operation.rule):
                if offset <= total < offset + limit:
                    shown.append(name)
                total += 1
        if len(names) < MOST:
            return shown, total
        after = names[-1]


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
