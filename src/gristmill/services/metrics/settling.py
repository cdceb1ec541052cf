"""Fresh points become chunks: when there are enough, or when one came late."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from gristmill.domain.metrics import Point
from gristmill.services.metrics.chunks import CHUNK, pack, unpack
from gristmill.store import metrics as store
from gristmill.store.database import Transaction


def settle(tx: Transaction, series: int) -> None:
    """Move all fresh points of a series into chunks, the late ones where they belong."""
    fresh = _without_late(tx, series, store.take_tail(tx, series))
    store.add_chunks(tx, series, map(pack, _pieces(fresh)))


def append(tx: Transaction, series: int, points: Sequence[Point]) -> Sequence[Point]:
    """Settle many points and the fresh ones before them; return those left for the tail.

    Less than a chunk: a series that grows by great batches can be summarised at any moment. Few
    points are all left.
    """
    if len(points) < CHUNK:
        return points
    together = sorted([*store.take_tail(tx, series), *points], key=lambda point: point.at)
    ordered = _without_late(tx, series, together)
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


def _without_late(tx: Transaction, series: int, ordered: Sequence[Point]) -> Sequence[Point]:
    """Put points that lie before the last settled one where they belong; return the others."""
    last = store.last_moment(tx, series) if ordered else None
    if last is None or ordered[0].at >= last:
        return ordered
    late = bisect_left(ordered, last, key=lambda point: point.at)
    _merge(tx, series, ordered[:late])
    return ordered[late:]


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
    """Divide points evenly, so that no chunk is much smaller than others."""
    count = max(1, round(len(points) / CHUNK)) if points else 0
    bounds = [len(points) * number // count for number in range(count + 1)] if count else []
    return [points[start:end] for start, end in pairwise(bounds)]
