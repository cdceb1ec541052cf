"""Files that members write to and folders they work in, reused while nothing is left in them.

Creating and removing files costs more than running a short command. So a slot keeps its two
output files; a member that wrote nothing leaves them as they were, one that wrote a little has
it read and truncated away, and only one that wrote much takes the file with it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from gristmill.protocol.messages import Output

INLINE_BYTES = 64 << 10
"""Up to this size a stream travels inside the report; beyond, it stays a file."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC


class Keep(NamedTuple):
    """How many bytes of a stream's head and tail are kept; both 0: all of it."""

    head: int = 0
    tail: int = 0

    def cuts(self, size: int) -> bool:
        """Whether a stream of this size loses its middle."""
        return self != KEEP_ALL and size > self.head + self.tail


KEEP_ALL = Keep()
KEEP_NOTHING = Keep(-1, -1)


class StreamFile:
    """The file behind one stream of a slot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, _FLAGS, 0o600)

    def size(self) -> int:
        """Return how many bytes were written so far."""
        return os.fstat(self.descriptor).st_size

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to limit bytes from offset."""
        return os.pread(self.descriptor, limit, offset)

    def collect(self, keep_as: str, keep: Keep) -> Output | None:
        """Take what was written, leaving an empty file; None when nothing was."""
        size = self.size()
        if size == 0:
            return None
        if keep is KEEP_NOTHING:
            os.ftruncate(self.descriptor, 0)
            return None
        if keep.cuts(size):
            data = self._ends(size, keep)
            self.discard()
            return Output(len(data), data)
        if size <= INLINE_BYTES:
            data = self.read(0, size)
            os.ftruncate(self.descriptor, 0)
            return Output(size, data)
        os.rename(self.path, keep_as)
        self.renew()
        return Output(size, path=keep_as)

    def _ends(self, size: int, keep: Keep) -> bytes:
        omitted = size - keep.head - keep.tail
        return b"%b\n... omitting %d bytes ...\n%b" % (
            self.read(0, keep.head),
            omitted,
            self.read(size - keep.tail, keep.tail),
        )

    def renew(self) -> None:
        """Start a new file: whoever still holds the old one can no longer reach this."""
        fresh = os.open(self.path, _FLAGS, 0o600)
        os.close(self.descriptor)
        self.descriptor = fresh

    def discard(self) -> None:
        """Forget what was written and start a new file."""
        self.path.unlink(missing_ok=True)
        self.renew()

    def close(self) -> None:
        """Close and remove the file."""
        os.close(self.descriptor)
        self.path.unlink(missing_ok=True)


class Slot:
    """The two output files of one running member."""

    def __init__(self, folder: Path, number: int) -> None:
        self.stdout = StreamFile(folder / f"slot-{number}.out")
        try:
            self.stderr = StreamFile(folder / f"slot-{number}.err")
        except OSError:
            self.stdout.close()
            raise


class Slots:
    """Slots in use and free; as many as ever ran at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in folder.glob("slot-*"):
            stale.unlink()
        self._folder = folder
        self._free: list[Slot] = []
        self._made = 0

    def take(self) -> Slot:
        """Return a slot with empty files."""
        if self._free:
            return self._free.pop()
        self._made += 1
        return Slot(self._folder, self._made)

    def give_back(self, slot: Slot) -> None:
        """Return a slot whose files were collected."""
        self._free.append(slot)


class Scratch:
    """Work folders for jobs that named none."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._empty: list[tuple[str, int]] = []
        self._next = 1 + max(
            (int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()), default=0
        )

    def take(self) -> tuple[str, int]:
        """Return an empty folder and the time stamp that tells whether it was touched."""
        if self._empty:
            return self._empty.pop()
        path = str(self._folder / str(self._next))
        self._next += 1
        os.mkdir(path, 0o700)
        return path, os.stat(path).st_mtime_ns

    def give_back(self, path: str, stamp: int) -> None:
        """Return a folder: kept for its job when something is in it, else reused."""
        try:
            if os.stat(path).st_mtime_ns == stamp:
                self._empty.append((path, stamp))
            elif not os.listdir(path):
                os.rmdir(path)
        except OSError:
            return
