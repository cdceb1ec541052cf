"""Objects: put whole or not at all, read as they were when the reading began."""

import asyncio
import re
from collections.abc import AsyncIterable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import structlog

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from gristmill.domain.objects import Space, StoredObject, check_name
from gristmill.services.objects.blobs import Blobs, Draft
from gristmill.services.objects.signing import LONGEST_LIFETIME, Permit, Signer
from gristmill.services.waiting import pause, wait_for
from gristmill.store import objects as store
from gristmill.store.database import Database, Transaction
from gristmill.store.jobs import get_states

LARGEST_OBJECT = 5 << 30
"""Bytes of one object unless the settings say otherwise."""

PIECE = 1 << 20
"""Bytes that go to or from the disk at a time."""

BLOB_ID_BYTES = 18
MOST_A_PAGE = 1_000
DOOMED_AT_ONCE = 200
SWEEP_INTERVAL = 3_600.0
"""Seconds after which bytes are looked for that jobs left when their records were removed."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger()


class TooLargeError(InvalidInputError):
    """An upload has more bytes than it may have."""


class Opened(NamedTuple):
    """An object and its bytes; whoever got it closes the file."""

    object: StoredObject
    file: BinaryIO


class Objects:
    """The object store of one server."""

    def __init__(
        self,
        database: Database,
        chance: Chance,
        folder: Path,
        signing_key: bytes,
        *,
        largest: int = LARGEST_OBJECT,
    ) -> None:
        self.largest = largest
        self._database, self._chance = database, chance
        self._blobs = Blobs(folder)
        self._signer = Signer(signing_key)
        self._doomed = asyncio.Event()

    async def load(self) -> None:
        """Finish or undo what a server that died had begun."""
        await self._database.read(lambda tx: self._blobs.prepare(partial(store.blob_is_named, tx)))

    def put_url(
        self,
        space: Space,
        name: str,
        base: str,
        lifetime: float,
        *,
        sha256: str | None = None,
        size: int | None = None,
    ) -> str:
        """Return an absolute URL to which the bytes can be PUT.

        base: such as ``http://host:7070``. lifetime: seconds. sha256: hex digest that the bytes
        must have. size: most bytes they may have. Raises InvalidInputError.
        """
        if size is not None and not 0 <= size <= self.largest:
            raise InvalidInputError(f"is not from 0 to {self.largest} bytes", "size")
        permit = Permit(
            "put", space, check_name(name), self._end(lifetime), check_sha256(sha256), size
        )
        return base + self._signer.path(permit)

    def get_url(self, space: Space, name: str, base: str, lifetime: float) -> str:
        """Return an absolute URL from which the bytes can be fetched, once there are any."""
        return base + self._signer.path(Permit("get", space, check_name(name), self._end(lifetime)))

    def read_url(self, signed: str) -> Permit:
        """Return what the signed part of a URL permits. Raises NotAuthenticatedError."""
        return self._signer.read(signed, self._chance.now())

    async def put(
        self,
        space: Space,
        name: str,
        chunks: AsyncIterable[bytes],
        *,
        sha256: str | None = None,
        most: int | None = None,
        expected: int | None = None,
    ) -> StoredObject:
        """Store the bytes under the name, in place of what it had; durable when this returns.

        most, expected: bytes. Raises InvalidInputError for a name or digest that is wrong,
        TooLargeError, UnavailableError; what chunks raises is raised, and nothing has changed.
        """
        limit = self.largest if most is None else min(most, self.largest)
        check_name(name)
        check_sha256(sha256)
        if expected is not None and expected > limit:
            raise _too_large(limit)
        blob = self._chance.token(BLOB_ID_BYTES)
        draft = await asyncio.to_thread(self._blobs.draft, blob, expected)
        try:
            await _fill(draft, chunks, limit)
            _check_digest(draft.sha256, sha256)
            await asyncio.to_thread(draft.finish)
            new = StoredObject(name, blob, draft.size, draft.sha256, self._chance.now())
            await self._database.write(lambda tx: self._put(tx, space, new))
        except BaseException:
            # A caller that goes away leaves the commit's fate open: only the store knows.
            await asyncio.shield(self._drop(draft))
            raise
        await asyncio.to_thread(self._blobs.settle, blob)
        return new

    async def _drop(self, draft: Draft) -> None:
        try:
            named = await self._database.write(lambda tx: store.blob_is_named(tx, draft.blob))
        except UnavailableError:
            return
        act = partial(self._blobs.settle, draft.blob) if named else draft.discard
        await asyncio.to_thread(act)

    def _put(self, tx: Transaction, space: Space, new: StoredObject) -> None:
        if space.job_id is not None and not get_states(tx, [space.job_id]):
            raise NotFoundError(f"the record of job {space.owner} was removed")
        store.put_object(tx, space, new)
        tx.after_commit(self._doomed.set)

    async def find(self, space: Space, name: str) -> StoredObject | None:
        """Return the object of this name."""
        return await self._database.read(lambda tx: store.find_object(tx, space, name))

    async def find_many(self, space: Space, names: Sequence[str]) -> dict[str, StoredObject]:
        """Return those of the names that exist."""
        found = await self._database.read(lambda tx: store.find_objects(tx, space, names))
        return {each.name: each for each in found}

    async def list(
        self, space: Space, prefix: str = "", after: str = "", limit: int = MOST_A_PAGE
    ) -> list[StoredObject]:
        """Return objects whose names begin with prefix and follow after, by name."""
        return await self._database.read(
            lambda tx: store.list_objects(tx, space, prefix, after, min(limit, MOST_A_PAGE))
        )

    async def open(self, space: Space, name: str) -> Opened:
        """Open the object for reading. Raises NotFoundError."""

        def read(tx: Transaction) -> Opened:
            found = store.find_object(tx, space, name)
            if found is None:
                raise NotFoundError(f"there is no object {name!r}")
            return Opened(found, self._blobs.open(found.blob))

        try:
            return await self._database.read(read)
        except FileNotFoundError:
            # It was replaced between the look at its row and the opening of its bytes.
            pass
        try:
            return await self._database.read(read)
        except FileNotFoundError as error:
            raise UnavailableError(f"the bytes of {name!r} are missing on the disk") from error

    async def delete(self, space: Space, name: str) -> bool:
        """Remove the object; False when there is none."""

        def work(tx: Transaction) -> bool:
            tx.after_commit(self._doomed.set)
            return store.delete_object(tx, space, name)

        return await self._database.write(work)

    async def run(self) -> None:
        """Remove bytes that no name has any more, until cancelled."""
        while True:
            self._doomed.clear()
            if not await self._sweep():
                await wait_for(self._doomed, SWEEP_INTERVAL)

    async def _sweep(self) -> bool:
        """Remove some; whether there may be more."""
        try:
            blobs = await self._database.read(lambda tx: store.doomed_blobs(tx, DOOMED_AT_ONCE))
            if blobs:
                await asyncio.to_thread(self._remove, blobs)
                await self._database.write(lambda tx: store.forget_doomed(tx, blobs))
        except (UnavailableError, OSError) as error:
            log.warning("objects.sweep_failed", error=str(error))
            await pause(1.0)
            return True
        return len(blobs) == DOOMED_AT_ONCE

    def _remove(self, blobs: Sequence[str]) -> None:
        for blob in blobs:
            self._blobs.remove(blob)

    def _end(self, lifetime: float) -> float:
        if not 0 < lifetime <= LONGEST_LIFETIME:
            raise InvalidInputError(
                f"{lifetime:g} seconds is not more than 0 and at most a year", "lifetime"
            )
        return self._chance.now() + lifetime


async def _fill(draft: Draft, chunks: AsyncIterable[bytes], limit: int) -> None:
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if draft.size + size > limit:
            raise _too_large(limit)
        if size >= PIECE:
            await asyncio.to_thread(draft.write, b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        await asyncio.to_thread(draft.write, b"".join(waiting))


def check_sha256(digest: str | None) -> str | None:
    """Return a digest in lower-case hex. Raises InvalidInputError."""
    if digest is None:
        return None
    if not _SHA256.fullmatch(digest.lower()):
        raise InvalidInputError(f"{digest[:80]!r} is not a SHA-256 digest in hex", "sha256")
    return digest.lower()


def _check_digest(found: str, expected: str | None) -> None:
    if expected is not None and found != expected.lower():
        raise InvalidInputError(f"the bytes have the digest {found}, not {expected}", "sha256")


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the object is larger than the {limit} bytes it may have", "body")
