"""Points are written by the batch: all that arrive while a commit is under way share the next."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from gristmill.domain.errors import (
    GristmillError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import JOB, NewPoint, Point, job_of
from gristmill.services.metrics.chunks import CHUNK
from gristmill.services.metrics.feed import Feed
from gristmill.services.metrics.settling import append, settle
from gristmill.services.queue.core import QueueCore
from gristmill.services.waiting import wait_for
from gristmill.store import metrics as store
from gristmill.store.database import Transaction
from gristmill.store.intake import Intake, NoRoomError
from gristmill.store.jobs import get_heads

MOST_KNOWN = 100_000
GATHERING = 0.001
"""Seconds that a batch waits at most for callers to share its commit."""

MOVE_AFTER = 1.0
"""Seconds that points rest in the intake at most, unless the database is away."""

MOST_PENDING = 4096
"""Points in the intake from which they are moved at once."""

FEW = 64
"""Points of a call that goes through the intake; more are worth a commit."""

MOST_SERIES = 10_000
"""Names of series under one source: their list is read whole."""

SeriesKey = tuple[str, bool, str, str]
"""User, whether an administrator, source, name: what a right to write was checked for."""


class _Caller(NamedTuple):
    who: Identity
    points: Sequence[NewPoint]
    done: "asyncio.Future[None]"


class _Row(NamedTuple):
    """A point as the intake keeps it."""

    series: int
    at: int
    value: str
    metadata: str
    cumulative: bool

    @property
    def point(self) -> Point:
        return Point(self.at, self.value, self.metadata, self.cumulative)


class _Moving(NamedTuple):
    """Rows on their way from the intake to the tails, up to the record of this number."""

    rows: Sequence[_Row]
    number: int


class Recorder:
    """Writes points, durably once ``record`` returns, and settles what has grown."""

    def __init__(self, core: QueueCore, feed: Feed) -> None:
        self._core, self._feed = core, feed
        self._known: dict[SeriesKey, int] = {}
        self._waiting: list[_Caller] = []
        self._busy: asyncio.Task[None] | None = None
        self._fresh: Counter[int] = Counter()
        self._grown: set[int] = set()
        self._work = asyncio.Event()
        self._expected = 1
        self._enough = asyncio.Event()
        self._intake: Intake | None = None
        self._pending: list[_Row] = []
        self._number = 0
        self._moving: _Moving | None = None
        self._one_moves = asyncio.Lock()
        core.database.listeners.setdefault(store.SOURCE_DELETED, []).append(self.forget)

    async def record(self, who: Identity, points: Sequence[NewPoint]) -> None:
        """Add points, all or none. Raises NotFoundError for a job that is not the caller's."""
        if not points or await self._take_in(who, points):
            return
        caller = _Caller(who, points, asyncio.get_running_loop().create_future())
        self._waiting.append(caller)
        if len(self._waiting) >= self._expected:
            self._enough.set()
        if self._busy is None:
            self._busy = asyncio.create_task(self._write_all())
        await caller.done

    async def load(self) -> None:
        """Move in what a crash left in the intake, and learn which series have grown."""
        database = self._core.database
        self._note(await database.read(store.tail_sizes))
        if database.intake is not None:
            epoch, number = await database.write(self._epoch)
            kept = await asyncio.to_thread(database.intake.recover, epoch, number)
            if kept.rows:
                rows = [_Row(*row) for row in kept.rows]
                await database.write(partial(self._move, what=_Moving(rows, kept.number)))
            self._intake, self._number = database.intake, kept.number
            self._intake.begin(epoch, kept.number, self._kept)

    async def close(self) -> None:
        """Leave nothing in the intake, unless the database is away; then the next start will."""
        with suppress(UnavailableError):
            await self.flush()

    async def flush(self) -> None:
        """Move what rests in the intake to the tails, where readers find it."""
        async with self._one_moves:
            # What could not be moved comes first: its half of the intake is not free yet.
            if self._moving is not None:
                await self._move_in(self._moving)
            if self._pending:
                await self._move_in(await self._next_move())
        if self._pending:
            self._move_later()

    async def _move_in(self, what: "_Moving") -> None:
        self._moving = what
        await self._core.database.write(partial(self._move, what=what))
        self._moving = None

    async def _next_move(self) -> "_Moving":
        assert self._intake is not None
        with suppress(NoRoomError):
            await self._intake.turn()
        # Rows may have come since the turn: what is moved reaches to the last that was kept.
        rows, self._pending = self._pending, []
        return _Moving(rows, self._number)

    def _epoch(self, tx: Transaction) -> tuple[int, int]:
        found = store.get_intake(tx)
        if found is None:
            found = self._core.chance.random.getrandbits(62), 0
            store.put_intake(tx, 0, found[0])
        return found

    def _kept(self, rows: Sequence[Sequence[Any]], number: int) -> None:
        """Take note of rows that are on disk. They come before a half is turned, or after it."""
        if not self._pending:
            self._move_later()
        self._pending += rows  # type: ignore[arg-type]
        self._number = number
        if len(self._pending) >= MOST_PENDING:
            self._work.set()

    def _move_later(self) -> None:
        asyncio.get_running_loop().call_later(MOVE_AFTER, self._work.set)

    def _move(self, tx: Transaction, what: "_Moving") -> None:
        living = store.living_series(tx, sorted({row.series for row in what.rows}))
        rows = [(row.series, row.point) for row in what.rows if row.series in living]
        store.add_to_tails(tx, rows)
        store.put_intake(tx, what.number)
        sizes = Counter(series for series, _ in rows)
        tx.after_commit(lambda: self._note(sizes))

    async def _take_in(self, who: Identity, points: Sequence[NewPoint]) -> bool:
        """Keep points of known series in the intake, which is quicker than a commit."""
        if self._intake is None or len(points) > FEW:
            return False
        rows = []
        for new in points:
            series = self._known.get(_key(who, new))
            if series is None:
                return False
            rows.append(_Row(series, *new.point))
        try:
            await self._intake.add(rows)
        except NoRoomError:
            self._work.set()
            return False
        self._feed.publish(who, points)
        return True

    async def run(self) -> None:
        """Settle series that have grown, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self.flush()
            except UnavailableError:
                self._move_later()
                continue
            while self._grown:
                series = self._grown.pop()
                await self._core.database.write(partial(settle, series=series))
                self._fresh.pop(series, None)

    async def settle(self, series: int) -> None:
        """Settle one series now."""
        await self._core.database.write(partial(settle, series=series))

    def forget(self) -> None:
        """Look up every series anew, for sources were deleted."""
        self._known.clear()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                callers, self._waiting = self._waiting, []
                await self._write_batch(callers)
        finally:
            self._busy = None

    async def _gather(self) -> None:
        """Wait a moment for as many callers as came last: whoever posts in step posts again."""
        if len(self._waiting) < self._expected:
            self._enough.clear()
            await wait_for(self._enough, GATHERING)
        self._expected = len(self._waiting)

    async def _write_batch(self, callers: Sequence[_Caller]) -> None:
        try:
            errors = await self._core.database.write(partial(self._write, callers=callers))
        except Exception as failure:
            errors = [failure] * len(callers)
        for caller, error in zip(callers, errors, strict=True):
            _answer(caller, error)

    def _write(self, tx: Transaction, callers: Sequence[_Caller]) -> list[Exception | None]:
        self._drop_dead(tx, callers)
        errors: list[Exception | None] = []
        rows: list[tuple[int, Point]] = []
        for caller in callers:
            try:
                rows += self._place(tx, caller)
                errors.append(None)
            except GristmillError as error:
                errors.append(error)
        store.add_to_tails(tx, rows)
        sizes = Counter(series for series, _ in rows)
        tx.after_commit(lambda: self._note(sizes))
        written = [caller for caller, error in zip(callers, errors, strict=True) if error is None]
        tx.after_commit(lambda: self._publish(written))
        return errors

    def _publish(self, callers: Sequence[_Caller]) -> None:
        for caller in callers:
            self._feed.publish(caller.who, caller.points)

    def _drop_dead(self, tx: Transaction, callers: Sequence[_Caller]) -> None:
        """Forget series that were deleted since we knew them."""
        keys = {
            key
            for caller in callers
            for new in caller.points
            if (key := _key(caller.who, new)) in self._known
        }
        living = store.living_series(tx, sorted({self._known[key] for key in keys}))
        for key in keys:
            if self._known[key] not in living:
                del self._known[key]

    def _place(self, tx: Transaction, caller: _Caller) -> list[tuple[int, Point]]:
        series = self._series(tx, caller)
        if len(caller.points) < CHUNK:
            return [(series[_key(caller.who, new)], new.point) for new in caller.points]
        by_series: dict[int, list[Point]] = {}
        for new in caller.points:
            by_series.setdefault(series[_key(caller.who, new)], []).append(new.point)
        rows: list[tuple[int, Point]] = []
        for number, points in by_series.items():
            left = append(tx, number, points)
            if len(left) < len(points):
                tx.after_commit(partial(self._fresh.__delitem__, number))
            rows += [(number, point) for point in left]
        return rows

    def _series(self, tx: Transaction, caller: _Caller) -> dict[SeriesKey, int]:
        keys = {_key(caller.who, new) for new in caller.points}
        known = {key: self._known[key] for key in keys if key in self._known}
        unknown = keys - known.keys()
        if not unknown:
            return known
        # All sources are checked before anything is made, so that a refused call leaves nothing.
        owners = {key[2]: self._owner(tx, caller.who, key[2]) for key in unknown}
        found: dict[SeriesKey, int] = {}
        for key in unknown:
            name = key[2]
            source = store.ensure_source(tx, owners[name], name, self._core.chance.now())
            found[key] = store.ensure_series(tx, source, key[3])
        tx.after_commit(lambda: self._remember(found))
        return known | found

    def _owner(self, tx: Transaction, who: Identity, source: str) -> int:
        """Return whose source this is. Raises NotFoundError, InvalidInputError."""
        user = self._core.words.intern(tx, who.user)
        job = job_of(source)
        if job is None:
            if source.startswith(JOB):
                raise InvalidInputError(f"a job's source is 'job:ID', not {source!r}", "source")
            return user
        heads = get_heads(tx, [job])
        if not heads or not (who.admin or heads[0].owner_id == user):
            raise NotFoundError(f"there is no job {job}")
        return heads[0].owner_id

    def _remember(self, found: dict[SeriesKey, int]) -> None:
        if len(self._known) + len(found) > MOST_KNOWN:
            self._known.clear()
        self._known.update(found)

    def _note(self, sizes: "dict[int, int]") -> None:
        for series, size in sizes.items():
            self._fresh[series] += size
            if self._fresh[series] >= CHUNK:
                self._grown.add(series)
                self._work.set()


def _key(who: Identity, new: NewPoint) -> SeriesKey:
    return who.user, who.admin, new.source, new.name


def _answer(caller: _Caller, error: Exception | None) -> None:
    if caller.done.done():
        return
    if error is None:
        caller.done.set_result(None)
    else:
        caller.done.set_exception(error)
