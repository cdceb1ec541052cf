"""Points are written by the batch: all that arrive while a commit is under way share the next."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from gristmill.domain.errors import GristmillError, InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import JOB, NewPoint, Point, job_of
from gristmill.services.metrics.chunks import CHUNK
from gristmill.services.metrics.feed import Feed
from gristmill.services.metrics.settling import append, settle
from gristmill.services.queue.core import QueueCore
from gristmill.store import metrics as store
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_heads

MOST_KNOWN = 100_000
MOST_GATHERED = 512
MOST_SERIES = 10_000
"""Names of series under one source: their list is read whole."""

SeriesKey = tuple[str, bool, str, str]
"""User, whether an administrator, source, name: what a right to write was checked for."""


class _Caller(NamedTuple):
    who: Identity
    points: Sequence[NewPoint]
    done: "asyncio.Future[None]"


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

    async def record(self, who: Identity, points: Sequence[NewPoint]) -> None:
        """Add points, all or none. Raises NotFoundError for a job that is not the caller's."""
        if not points:
            return
        caller = _Caller(who, points, asyncio.get_running_loop().create_future())
        self._waiting.append(caller)
        if self._busy is None:
            self._busy = asyncio.create_task(self._write_all())
        await caller.done

    async def load(self) -> None:
        """Learn after a restart which series have many fresh points."""
        self._note(await self._core.database.read(store.tail_sizes))

    async def run(self) -> None:
        """Settle series that have grown, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
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
        """Wait as long as further callers come in: requests that arrive together share a commit."""
        before = 0
        while before < len(self._waiting) < MOST_GATHERED:
            before = len(self._waiting)
            await asyncio.sleep(0)

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
        return [
            (number, point)
            for number, points in by_series.items()
            for point in append(tx, number, points)
        ]

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
