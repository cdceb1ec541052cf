"""A file beside the database that makes single rows durable at the price of one small write.

What is added is only kept here until its owner has moved it into the database, so nobody reads
this file but after a crash. It has two halves: while the rows of one are moved, the other is
written. Its size never changes and it holds no holes, so that a sync touches data alone.
"""

import asyncio
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from gristmill.domain.errors import UnavailableError

HALF = 1 << 20
"""Bytes."""

WORTH = 0.5
"""Share of a sync's time that is waited for others to share it."""

SLOW = 0.001
"""Seconds from which a sync is worth waiting for others to share it."""

LOOK = 0.0002
"""Seconds between two looks at who has come."""

_HEAD = struct.Struct("<IIQQ")
"""Of a record: checksum of all that follows, size of the body, epoch, number."""

_ZEROS = bytes(1 << 16)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[Any]]).decode
Row = Sequence[Any]
OnKept = Callable[[Sequence[Row], int], None]

log = structlog.get_logger()


class NoRoomError(Exception):
    """The half is full until its rows have been moved, or this file cannot be used at all."""


class Kept(NamedTuple):
    """What a crash left. number: of the last record, or as it was asked for."""

    rows: list[list[Any]]
    number: int


class _Wish(NamedTuple):
    """rows: to be added; None to go over to the other half."""

    rows: Sequence[Row] | None
    done: "asyncio.Future[int]"
    loop: asyncio.AbstractEventLoop


class Intake:
    """Adds rows, many callers to a sync. Every record has a number, one more than the last.

    A record of another epoch belongs to another database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Wish | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._file = -1
        self._epoch = self._number = 0
        self._half = self._offset = 0
        self._broken = False
        self._sync, self._expected = 0.0, 1
        self._on_kept: OnKept | None = None

    def recover(self, epoch: int, number: int) -> Kept:
        """Return the rows of records after a number. Raises UnavailableError. Blocks."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Kept([], number)
        except OSError as error:
            raise UnavailableError(f"cannot read {self._path}: {error.strerror}") from error
        halves = (content[:HALF], content[HALF:])
        found = {
            record.number: record.rows
            for half in halves
            for record in _records(half, epoch)
            if record.number > number
        }
        rows = [row for each in sorted(found) for row in found[each]]
        return Kept(rows, max(found, default=number))

    def begin(self, epoch: int, number: int, on_kept: OnKept) -> None:
        """Take rows from now on; all records up to a number are done with.

        on_kept: called on the event loop with rows that are on disk and the number of their
        record, before whoever added them goes on.
        """
        self._epoch, self._number, self._on_kept = epoch, number, on_kept

    def close(self) -> None:
        """Let the thread end."""
        self._broken = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    async def add(self, rows: Sequence[Row]) -> int:
        """Return the number of the record that holds the rows, once it is on disk.

        Raises NoRoomError when nothing was written, UnavailableError when nobody knows.
        """
        return await self._wish(rows)

    async def turn(self) -> int:
        """Go over to the other half; return the number of the last record of this one.

        All rows of the other half must have been moved. Raises NoRoomError.
        """
        return await self._wish(None)

    def _wish(self, rows: Sequence[Row] | None) -> "asyncio.Future[int]":
        if self._broken:
            raise NoRoomError
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="store-intake", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._queue.put(_Wish(rows, done, loop))
        return done

    def _work(self) -> None:
        while (wish := self._queue.get()) is not None:
            wishes, turn, over = self._gather(wish)
            if wishes:
                self._answer(wishes, self._write(wishes))
            if turn is not None:
                self._half, self._offset = 1 - self._half, 0
                self._answer([turn], None)
            if over:
                return

    def _await_others(self) -> None:
        """Wait for those who came last, as whoever posts in step posts again; not for long.

        A quick disk is better used at once, and of a slow one a sync for each would be wasted.
        """
        if self._sync <= SLOW:
            return
        until = time.monotonic() + self._sync * WORTH
        while self._queue.qsize() + 1 < self._expected and time.monotonic() < until:
            time.sleep(LOOK)

    def _gather(self, first: _Wish) -> tuple[list[_Wish], _Wish | None, bool]:
        """Return all who wait to add, a wish to turn that came after them, and whether to end."""
        if first.rows is not None:
            self._await_others()
        wishes: list[_Wish] = []
        wish: _Wish | None = first
        while wish is not None and wish.rows is not None:
            wishes.append(wish)
            try:
                wish = self._queue.get_nowait()
            except queue.Empty:
                return wishes, None, False
        return wishes, wish, wish is None

    def _write(self, wishes: Sequence[_Wish]) -> Exception | None:
        try:
            if self._file < 0:
                self._file = _open(self._path)
        except OSError as error:
            return self._give_up(error, NoRoomError())
        body = _encode([row for wish in wishes for row in wish.rows or ()])
        if self._offset + _HEAD.size + len(body) > HALF:
            return NoRoomError()
        record = _record(self._epoch, self._number + 1, body)
        try:
            began = time.monotonic()
            if os.pwrite(self._file, record, self._half * HALF + self._offset) != len(record):
                raise OSError("short write")  # noqa: TRY301
            os.fdatasync(self._file)
            self._sync = time.monotonic() - began
        except OSError as error:
            return self._give_up(error, UnavailableError("the disk cannot be written now"))
        self._number += 1
        self._offset += len(record)
        self._expected = len(wishes) + self._queue.qsize()
        return None

    def _give_up(self, error: OSError, answer: Exception) -> Exception:
        log.warning("intake.failed", error=str(error))
        self._broken = True
        return answer

    def _answer(self, wishes: Sequence[_Wish], error: Exception | None) -> None:
        try:
            wishes[0].loop.call_soon_threadsafe(self._deliver, wishes, self._number, error)
        except RuntimeError:
            log.warning("intake.callers_gone", callers=len(wishes))

    def _deliver(self, wishes: Sequence[_Wish], number: int, error: Exception | None) -> None:
        for wish in wishes:
            if error is None and wish.rows is not None and self._on_kept is not None:
                self._on_kept(wish.rows, number)
            _resolve(wish, number, error)


def _resolve(wish: _Wish, number: int, error: Exception | None) -> None:
    if not wish.done.done():
        if error is None:
            wish.done.set_result(number)
        else:
            wish.done.set_exception(error)


def _open(path: Path) -> int:
    """Return a descriptor of the file, which has its size already on disk. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        while size < 2 * HALF:
            size += os.pwrite(file, _ZEROS[: 2 * HALF - size], size)
        os.fsync(file)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        os.close(file)
        raise
    return file


def _record(epoch: int, number: int, body: bytes) -> bytes:
    rest = _HEAD.pack(0, len(body), epoch, number)[4:] + body
    return zlib.crc32(rest).to_bytes(4, "little") + rest


class _Found(NamedTuple):
    number: int
    rows: list[list[Any]]


def _records(half: bytes, epoch: int) -> Iterator[_Found]:
    """Yield the records at the beginning of a half; what was there before them is older."""
    offset, expected = 0, None
    while offset + _HEAD.size <= len(half):
        checksum, size, of, number = _HEAD.unpack_from(half, offset)
        end = offset + _HEAD.size + size
        whole = end <= len(half) and zlib.crc32(half[offset + 4 : end]) == checksum
        if not whole or of != epoch or expected not in (None, number):
            return
        yield _Found(number, _decode(half[offset + _HEAD.size : end]))
        offset, expected = end, number + 1
