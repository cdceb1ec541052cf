"""Pages of a list: ``limit`` and ``offset`` in, an envelope around the objects out."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from gristmill.dialects.job_runner.errors import RefusedError
from gristmill.dialects.job_runner.exchange import Pairs

DEFAULT_LIMIT = 200
MOST = 1000
LARGEST_OFFSET = (1 << 63) - 1


class Window(NamedTuple):
    """Which part of a list is wanted."""

    limit: int
    offset: int


def read_window(query: Pairs) -> Window:
    """Return the page that is asked for. Raises RefusedError."""
    values = dict(query)
    limit = _whole("limit", values.get("limit"), DEFAULT_LIMIT)
    offset = _whole("offset", values.get("offset"), 0)
    return Window(limit if 0 < limit <= MOST else MOST, min(offset, LARGEST_OFFSET))


def _whole(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RefusedError(400, f"{name}: {text[:40]!r} is not a whole number from 0 on")
    return int(text)


def envelope(
    objects: list[dict[str, Any]], total: int, window: Window, path: str, query: Pairs
) -> dict[str, Any]:
    """Return the page with its place in the list. path: of the list, with any mount."""
    limit, offset = window
    others = [(name, value) for name, value in query if name not in ("limit", "offset")]

    def page(at: int) -> str:
        return f"{path}?{urlencode([*others, ('limit', limit), ('offset', at)])}"

    meta = {
        "limit": limit,
        "next": page(offset + limit) if offset + limit < total else None,
        "offset": offset,
        "previous": page(offset - limit) if offset >= limit else None,
        "total_count": total,
    }
    return {"meta": meta, "objects": objects}
