"""Bytes in files: written aside, kept once a name has them, never changed after that."""

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gristmill.domain.errors import UnavailableError

LEAST_ROOM = 16 << 20
"""Bytes that uploads leave free on the disk, so that the server itself can go on."""


class Draft:
    """Bytes on their way in."""

    def __init__(self, blob: str, path: Path) -> None:
        self.blob, self.size = blob, 0
        self._path = path
        self._digest = hashlib.sha256()
        # A thread may still write when its caller was cancelled and discards everything.
        self._lock = threading.Lock()
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise _unavailable(error) from error

    @property
    def sha256(self) -> str:
        """The digest of what was written so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append data. Raises UnavailableError when the disk is full."""
        rest = memoryview(data)
        with self._lock:
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise _unavailable(error) from error
            self._digest.update(data)
            self.size += len(data)

    def finish(self) -> None:
        """Have the bytes on disk when this returns. Raises UnavailableError."""
        with self._lock:
            try:
                os.fsync(self._file.fileno())
                self._file.close()
                _sync_folder(self._path.parent)
            except OSError as error:
                raise _unavailable(error) from error

    def discard(self) -> None:
        """Drop everything; after finish too."""
        with self._lock:
            self._file.close()
            self._path.unlink(missing_ok=True)


class Blobs:
    """The files of one server: ``incoming`` until a name has them, then their own place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def prepare(self, is_named: Callable[[str], bool]) -> None:
        """Settle what a server that died had begun. is_named: whether an object has the blob."""
        try:
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._incoming.iterdir():
                if is_named(path.name):
                    self.settle(path.name)
                else:
                    path.unlink()
        except OSError as error:
            raise _unavailable(error) from error

    def draft(self, blob: str, expected: int | None) -> Draft:
        """Begin to take bytes in. expected: how many, if that is known.

        Raises UnavailableError when the disk has no room for them.
        """
        room = os.statvfs(self._folder)
        if room.f_bavail * room.f_frsize < (expected or 0) + LEAST_ROOM:
            raise UnavailableError("the disk has no room for this; remove something first")
        return Draft(blob, self._incoming / blob)

    def settle(self, blob: str) -> None:
        """Move bytes to their own place, now that a name has them.

        They may be gone again already, when the name was given to others meanwhile.
        """
        place = self._place(blob)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (self._incoming / blob).rename(place)

    def open(self, blob: str) -> BinaryIO:
        """Return the bytes for reading; whoever has them open can read them to their end.

        Raises FileNotFoundError when they are gone.
        """
        place = self._place(blob)
        for path in (place, self._incoming / blob, place):
            try:
                return path.open("rb", buffering=0)
            except FileNotFoundError:
                continue
        raise FileNotFoundError(blob)

    def remove(self, blob: str) -> None:
        """Remove bytes that no name has any more; gone already is as good."""
        # In the order in which bytes move: a move under way cannot slip past both.
        (self._incoming / blob).unlink(missing_ok=True)
        self._place(blob).unlink(missing_ok=True)

    def _place(self, blob: str) -> Path:
        return self._folder / "kept" / blob[:2] / blob


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(error: OSError) -> UnavailableError:
    return UnavailableError(f"cannot store the object: {error.strerror}")
