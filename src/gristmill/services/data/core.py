"""What all data services share: the store, the workers, and the rules of writing blobs."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from gristmill.domain.errors import NotFoundError
from gristmill.services.data.place import (
    Listing,
    Place,
    Stored,
    check_bucket,
    check_name,
)
from gristmill.services.data.pool import WorkerPool
from gristmill.services.queue.core import QueueCore
from gristmill.store import data as store
from gristmill.store.database import Transaction

T = TypeVar("T")

MOST_REMEMBERED = 10_000


@dataclass
class DataCore:
    """Handed to every data service. root: folder or URL of the blobs."""

    queue: QueueCore
    workers: WorkerPool
    home: Path
    root: str
    garbage: asyncio.Event = field(default_factory=asyncio.Event)
    _locks: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )
    _reads: dict[int, float] = field(default_factory=dict)
    _writes: set[asyncio.Task[Any]] = field(default_factory=set)
    _memory: dict[Hashable, Any] = field(default_factory=dict)
    _changes: int = 0

    async def cached(self, key: Hashable, read: Callable[[Transaction], T]) -> T:
        """Return what a read found, from memory while nothing has changed since.

        This server is the only writer, and who changed something hears of it only after the
        memory was cleared.
        """
        found: T | None = self._memory.get(key)
        if found is not None:
            return found
        changes = self._changes
        found = await self.queue.database.read(read)
        if changes == self._changes:
            if len(self._memory) >= MOST_REMEMBERED:
                self._memory.clear()
            self._memory[key] = found
        return found

    def changed(self, tx: Transaction) -> None:
        """Forget what was read, once the transaction is durable."""
        tx.after_commit(self._forget)

    def _forget(self) -> None:
        self._changes += 1
        self._memory.clear()

    def lock(self, *key: object) -> asyncio.Lock:
        """Return the lock of one object: its writers take turns."""
        found = self._locks.get(key)
        if found is None:
            found = self._locks[key] = asyncio.Lock()
        return found

    def new_path(self, kind: str, ending: str) -> str:
        """Return a path for a blob, used by nothing else ever."""
        name = self.queue.chance.token(18)
        return f"{kind}s/{name[:2]}/{name}.{ending}"

    def place(self, tx: Transaction, place: Place) -> store.Place | None:
        """Return where an owner's objects are; None when the owner has nothing at all."""
        owner = self.queue.words.find(tx, place.owner)
        return None if owner is None else store.Place(owner, place.bucket)

    def own_place(self, tx: Transaction, place: Place) -> store.Place:
        """Return where an owner's objects are, or will be."""
        return store.Place(self.queue.words.intern(tx, place.owner), place.bucket)

    def find(self, tx: Transaction, place: Place, kind: str, name: str) -> store.ObjectRow:
        """Return an object. Raises NotFoundError."""
        where = self.place(tx, place)
        row = store.find_object(tx, where, kind, name) if where else None
        if row is None:
            raise NotFoundError(f"there is no {kind} {name[:200]!r}")
        return row

    async def get(self, place: Place, kind: str, name: str) -> Stored:
        """Return an object. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(kind, name)
        row = await self.cached((place, kind, name), lambda tx: self.find(tx, place, kind, name))
        return stored(kind, name, place, row)

    async def list(self, place: Place, kind: str, limit: int, offset: int) -> Listing:
        """Return a page of what is not hidden, by name."""
        check_bucket(place.bucket)

        def work(tx: Transaction) -> Listing:
            where = self.place(tx, place)
            if where is None:
                return Listing([], 0)
            rows = store.list_objects(tx, where, kind, limit=limit, offset=offset)
            objects = [stored(kind, row.name, place, row) for row in rows]
            return Listing(objects, store.count_objects(tx, where, kind))

        return await self.queue.database.read(work)

    async def names(self, place: Place, kind: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the next names of what is not hidden, in order; after: '' for the first ones."""
        check_bucket(place.bucket)

        def work(tx: Transaction) -> Sequence[str]:
            where = self.place(tx, place)
            if where is None:
                return ()
            return store.list_names(tx, where, kind, after=after, limit=limit)

        return await self.queue.database.read(work)

    async def blob(self, path: str, making: Awaitable[T]) -> T:
        """Have a blob made at path; whatever goes wrong, what was written is swept away."""
        now = self.queue.chance.now()
        await self.queue.database.write(lambda tx: store.put_blob(tx, path, dead=False, now=now))
        try:
            return await making
        except BaseException:
            await self.drop([path])
            raise

    async def drop(self, paths: Sequence[str]) -> None:
        """Have blobs deleted that nothing refers to."""

        def work(tx: Transaction) -> None:
            self.bury(tx, paths)

        await self.queue.database.write(work)

    def bury(self, tx: Transaction, paths: Sequence[str]) -> None:
        """Have blobs deleted once whoever reads them now is done."""
        now = self.queue.chance.now()
        for path in paths:
            store.put_blob(tx, path, dead=True, now=now)
        if paths:
            tx.after_commit(self.garbage.set)

    async def reading(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that reads blobs; none that dies meanwhile is deleted before its end."""
        key = id(work)
        self._reads[key] = self.queue.chance.now()
        try:
            return await work
        finally:
            del self._reads[key]

    def oldest_read(self) -> float:
        """Return since when somebody may be reading, epoch seconds."""
        return min(self._reads.values(), default=self.queue.chance.now())

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that goes on when whoever asked for it goes away."""
        task = asyncio.ensure_future(work)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)


def stored(kind: str, name: str, place: Place, row: store.ObjectRow | store.NamedRow) -> Stored:
    """Return an object as callers see it."""
    return Stored(
        kind, name, row.format, place.bucket, row.created, row.modified, row.version,
        row.manifest, row.job,
    )  # fmt: skip
