"""Fresh points become chunks: when there are enough, or when one came late."""

from bisect import bisect_right
from collections.abc import Sequence

from gristmill.domain.metrics import Point
from gristmill.services.metrics.chunks import CHUNK, pack, unpack
from gristmill.store import metrics as store
from gristmill.store.database import Transaction


def settle(tx: Transaction, series: int) -> None:
    """Move all fresh points of a series into chunks, the late ones where they belong."""
    fresh = store.take_tail(tx, series)
    if not fresh:
        return
    last = store.last_moment(tx, series)
    late = 0 if last is None else sum(point.at < last for point in fresh)
    if late:
        _merge(tx, series, fresh[:late])
    store.add_chunks(tx, series, map(pack, _pieces(fresh[late:])))


def append(tx: Transaction, series: int, points: Sequence[Point]) -> Sequence[Point]:
    """Add full chunks straight from many points; return those that are left for the tail."""
    if len(points) < CHUNK:
        return points
    ordered = sorted(points, key=lambda point: point.at)
    waiting, _ = store.tail_bounds(tx, series)
    last = store.last_moment(tx, series)
    if waiting or (last is not None and ordered[0].at < last):
        return points
    full = len(ordered) - len(ordered) % CHUNK
    store.add_chunks(tx, series, map(pack, _pieces(ordered[:full])))
    return ordered[full:]


def is_late(tx: Transaction, series: int) -> bool:
    """Whether a fresh point of a series lies before a settled one."""
    _, first = store.tail_bounds(tx, series)
    if first is None:
        return False
    last = store.last_moment(tx, series)
    return last is not None and first < last


def _merge(tx: Transaction, series: int, late: Sequence[Point]) -> None:
    heads = store.chunk_heads(tx, series)
    starts = [head.first_at for head in heads]
    by_chunk: dict[int, list[Point]] = {}
    for point in late:
        place = max(bisect_right(starts, point.at) - 1, 0)
        by_chunk.setdefault(place, []).append(point)
    for place, points in by_chunk.items():
        head = heads[place]
        known = unpack(head.first_at, store.get_chunk(tx, head.id))
        # The sort is stable: of points at the same time, those that came first stay first.
        together = sorted([*known, *points], key=lambda point: point.at)
        store.delete_chunk(tx, head.id)
        store.add_chunks(tx, series, map(pack, _pieces(together)))


def _pieces(points: Sequence[Point]) -> list[Sequence[Point]]:
    return [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
