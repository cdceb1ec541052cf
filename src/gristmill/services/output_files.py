"""Outputs too large for the store: files in one folder, under names that only the server makes."""

import os
from pathlib import Path

from gristmill.domain.errors import InvalidInputError, UnavailableError


class OutputFiles:
    """The files of one server. Agents beside it move theirs in; others send them in pieces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, offset: int, limit: int) -> bytes:
        """Return up to limit bytes from offset; nothing of a file that is not there."""
        try:
            with self._path(name).open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Make data the end of the file, which has offset bytes before it.

        Offset 0 begins the file anew. Raises InvalidInputError when there are fewer bytes than
        that, UnavailableError when the disk is full.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                have = file.seek(0, os.SEEK_END)
                if offset > have:
                    raise InvalidInputError(
                        f"{offset} is beyond the {have} bytes sent so far", "offset"
                    )
                file.truncate(offset)
                file.seek(offset)
                _write_all(file.fileno(), data)
        except OSError as error:
            raise UnavailableError(f"cannot store output: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Remove a file that no row names any more; gone already is as good."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / os.path.basename(name)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
