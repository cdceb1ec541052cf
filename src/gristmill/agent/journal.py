"""What the agent began and ended, on disk before anyone is told.

Written without fsync: it must survive the agent's death, not the machine's. A new agent of the
same node reads it, reports what the old one had not, and knows what was cut off. While the disk
is full the records wait in memory.
"""

import contextlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gristmill.protocol.messages import Finished, Held

LARGEST = 4 << 20
"""Bytes after which the journal is rewritten as soon as everything in it is acknowledged."""

_Key = tuple[int, int, int]


class Begun(Held, frozen=True):
    """A member that got a process, and what is to follow should the agent die before its end.

    cwd: where its commands run. commands: words of each. root: its own folder below top, if it
    has one; parents that are empty without it go too.
    """

    cwd: str = "/"
    commands: tuple[tuple[str, ...], ...] = ()
    root: str = ""
    top: str = ""


_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode_finished = msgspec.msgpack.Decoder(Finished).decode
_decode_begun = msgspec.msgpack.Decoder(Begun).decode


class Journal:
    """An append-only file of records: a letter, a length, msgpack."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.unattended: list[Begun] = []
        """Members whose agent died, until what follows for them is done."""
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        self._unwritten = b""

    def began(self, held: Held) -> None:
        """Record that a member got a process."""
        self._append(_record(b"B", _encode(held)))

    def ended(self, finished: Finished) -> None:
        """Record a result that is still to be reported."""
        self._append(_record(b"E", _encode(finished)))

    def acknowledged(self, results: Iterable[Finished]) -> None:
        """Record that these results need not be reported again."""
        records = b"".join(
            _record(b"A", _encode(Held(result.job, result.attempt, result.rank)))
            for result in results
        )
        self._append(records)

    def cut(self, size: int) -> None:
        """Drop all but the first size bytes, so that nothing follows a torn record."""
        os.ftruncate(self._descriptor, size)
        self._size = size

    def compact(self, running: Iterable[Held], unreported: Iterable[Finished]) -> None:
        """Keep only what still matters, when the file has grown large."""
        if self._size < LARGEST:
            return
        records = [_record(b"B", _encode(held)) for held in (*running, *self.unattended)]
        records += [_record(b"E", _encode(result)) for result in unreported]
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(b"".join(records))
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            return
        fresh.rename(self._path)
        os.close(self._descriptor)
        self._open()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, records: bytes) -> None:
        """Write after what is still unwritten; what does not fit now waits for the next call."""
        records = self._unwritten + records
        try:
            written = os.write(self._descriptor, records)
        except OSError:
            written = 0
        self._size += written
        self._unwritten = records[written:]


def _record(kind: bytes, body: bytes) -> bytes:
    return kind + _LENGTH.pack(len(body)) + body


class Past(msgspec.Struct):
    """What an earlier agent left: members cut off by its death, and results not acknowledged.

    size: bytes of whole records; what follows them was torn.
    """

    cut_off: list[Begun]
    results: list[Finished]
    size: int = 0


def read_journal(path: Path) -> Past:
    """Return what the journal of an earlier agent says; all from a torn record on is ignored."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Past([], [])
    began: dict[_Key, Begun] = {}
    ended: dict[_Key, Finished] = {}
    place = 0
    while place + 5 <= len(data):
        (length,) = _LENGTH.unpack_from(data, place + 1)
        body = data[place + 5 : place + 5 + length]
        try:
            _replay(data[place : place + 1], body, began, ended)
        except msgspec.DecodeError:
            break
        place += 5 + length
    return Past(list(began.values()), list(ended.values()), place)


def _replay(
    kind: bytes, body: bytes, began: dict[_Key, Begun], ended: dict[_Key, Finished]
) -> None:
    if kind == b"E":
        finished = _decode_finished(body)
        key = (finished.job, finished.attempt, finished.rank)
        began.pop(key, None)
        ended[key] = finished
        return
    held = _decode_begun(body)
    key = (held.job, held.attempt, held.rank)
    if kind == b"B":
        began[key] = held
    else:
        ended.pop(key, None)
