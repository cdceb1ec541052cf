"""Reading series: all points, those since a moment, the last ones, or a summary."""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from gristmill.domain.errors import NotFoundError, UnavailableError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import Point, group_size, job_of
from gristmill.services.metrics.chunks import Window, pack, times, unpack, window
from gristmill.services.metrics.recorder import Recorder
from gristmill.services.metrics.settling import is_late
from gristmill.services.metrics.summary import Piece, summarise
from gristmill.services.queue.core import QueueCore
from gristmill.store import metrics as store
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_heads
from gristmill.store.metrics import ChunkHead

BATCH = 16_384
"""Points that are read at a time: a long series must not hold a reader for long."""


class Wanted(NamedTuple):
    """Which points. since: only later ones, microseconds. name: one series, None for all.

    groups: at most so many points a series, each the mean of its neighbours; 0 for all points.
    last: the last so many of what remains; 0 for all.
    """

    since: int | None = None
    name: str | None = None
    groups: int = 0
    last: int = 0


class Batch(NamedTuple):
    """Some points of one series, in order."""

    name: str
    points: Sequence[Point]


class _Snapshot(NamedTuple):
    """The pieces of a series at one moment; skipped: points before the wanted time."""

    heads: list[ChunkHead]
    tail: list[Point]
    skipped: int
    total: int


class MetricReader:
    """Reads what the caller may see."""

    def __init__(self, core: QueueCore, recorder: Recorder) -> None:
        self._core, self._recorder = core, recorder

    async def find(self, who: Identity, source: str) -> int | None:
        """Return the source's number; None for a job without points. Raises NotFoundError."""
        return await self._core.database.read(lambda tx: self._find(tx, who, source))

    async def names(self, who: Identity, source: str) -> list[str]:
        """Return the names of a source's series. Raises NotFoundError."""
        return [name for _, name in await self._all_series(who, source)]

    async def read(self, who: Identity, source: str, wanted: Wanted) -> dict[str, list[Point]]:
        """Return the points by series; series without any are left out. Raises NotFoundError."""
        points: dict[str, list[Point]] = {}
        async for batch in self.stream(who, source, wanted):
            points.setdefault(batch.name, []).extend(batch.points)
        return points

    async def stream(
        self, who: Identity, source: str, wanted: Wanted
    ) -> AsyncGenerator[Batch, None]:
        """Yield the points by series, in batches that are not empty. Raises NotFoundError."""
        for series, name in await self._all_series(who, source):
            if wanted.name is not None and name != wanted.name:
                continue
            if await self._core.database.read(partial(is_late, series=series)):
                await self._recorder.settle(series)
            async for points in self._points(series, wanted):
                yield Batch(name, points)

    async def latest(self, who: Identity, source: str) -> dict[str, Point]:
        """Return the last point of each series. Raises NotFoundError."""
        found = await self.read(who, source, Wanted(last=1))
        return {name: points[-1] for name, points in found.items()}

    async def _points(self, series: int, wanted: Wanted) -> AsyncGenerator[Sequence[Point], None]:
        if wanted.groups:
            few = await self._core.database.read(
                lambda tx: self._summary(tx, series, wanted.since, wanted.groups)
            )
            if few is not None:
                if few:
                    yield few[-wanted.last :] if wanted.last else few
                return
        position = await self._core.database.read(lambda tx: _start(tx, series, wanted))
        while True:
            start = position
            points = await self._core.database.read(
                lambda tx, start=start: _from(tx, series, start)  # type: ignore[misc]
            )
            if not points:
                return
            position += len(points)
            yield points

    def _summary(
        self, tx: Transaction, series: int, since: int | None, groups: int
    ) -> list[Point] | None:
        """Return the summary, None when there is nothing to summarise."""
        shot = _snapshot(tx, series, since)
        size = group_size(shot.total - shot.skipped, groups)
        if size == 1:
            return None
        pieces = _pieces(tx, shot)
        return None if pieces is None else summarise(pieces, size)

    async def _all_series(self, who: Identity, source: str) -> list[tuple[int, str]]:
        # While nothing can be written, what was settled before can still be read.
        with suppress(UnavailableError):
            await self._recorder.flush()
        number = await self.find(who, source)
        if number is None:
            return []
        return await self._core.database.read(partial(store.list_series, source=number))

    def _find(self, tx: Transaction, who: Identity, source: str) -> int | None:
        user = self._core.words.find(tx, who.user)
        job = job_of(source)
        if job is None:
            found = None if user is None else store.find_source(tx, user, source)
            if found is None:
                raise NotFoundError(f"there is no source of metrics {source!r}")
            return found
        heads = get_heads(tx, [job])
        if not heads or not (who.admin or heads[0].owner_id == user):
            raise NotFoundError(f"there is no job {job}")
        return store.find_source(tx, heads[0].owner_id, source)


def _snapshot(tx: Transaction, series: int, since: int | None) -> _Snapshot:
    heads = store.chunk_heads(tx, series)
    tail = store.get_tail(tx, series)
    total = sum(head.points for head in heads) + len(tail)
    return _Snapshot(heads, tail, _skipped(tx, heads, tail, since), total)


def _skipped(
    tx: Transaction, heads: Sequence[ChunkHead], tail: Sequence[Point], since: int | None
) -> int:
    if since is None:
        return 0
    skipped = 0
    for head in heads:
        if head.last_at <= since:
            skipped += head.points
        elif head.first_at <= since:
            moments = times(head.first_at, store.get_chunk(tx, head.id))
            return skipped + bisect_right(moments, since)
        else:
            return skipped
    return skipped + bisect_right(tail, since, key=lambda point: point.at)


def _pieces(tx: Transaction, shot: _Snapshot) -> list[Piece] | None:
    """Return what a summary is made of, None when not all values are numbers."""
    pieces: list[Piece] = []
    passed = 0
    for head in shot.heads:
        skipped = min(max(shot.skipped - passed, 0), head.points)
        passed += head.points
        if skipped == head.points:
            continue
        if not head.in_numbers:
            return None
        opened = partial(_load, tx, head.id)
        pieces.append(Piece(head.first_at, head.points, skipped, head.total, opened))
    fresh = shot.tail[max(shot.skipped - passed, 0) :]
    if fresh:
        chunk = pack(fresh)
        if not chunk.in_numbers:
            return None
        opened = partial(window, chunk.packed)
        pieces.append(Piece(chunk.first_at, chunk.points, 0, chunk.total, opened))
    return pieces


def _load(tx: Transaction, chunk: int) -> Window:
    return window(store.get_chunk(tx, chunk))


def _start(tx: Transaction, series: int, wanted: Wanted) -> int:
    """Return the position of the first point that is wanted."""
    shot = _snapshot(tx, series, wanted.since)
    if wanted.last:
        return max(shot.skipped, shot.total - wanted.last)
    return shot.skipped


def _from(tx: Transaction, series: int, position: int) -> list[Point]:
    """Return a batch of points from a position on; empty at the end."""
    found: list[Point] = []
    passed = 0
    for head in store.chunk_heads(tx, series):
        if passed + head.points > position:
            points = unpack(head.first_at, store.get_chunk(tx, head.id))
            found += points[max(position - passed, 0) :]
            if len(found) >= BATCH:
                return found
        passed += head.points
    return found + store.get_tail(tx, series)[max(position - passed, 0) :]
