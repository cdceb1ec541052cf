"""What a running server leaves in its home: a lock, and a note of where it can be reached."""

import fcntl
import os
from pathlib import Path

import msgspec

from gristmill.domain.errors import ConflictError, InvalidInputError

LOCK_NAME = "server.lock"
NOTE_NAME = "server.json"


class ServerFile(msgspec.Struct, frozen=True, kw_only=True):
    """HOME/server.json. http, https: URLs. socket: path of the agents' socket."""

    pid: int
    http: str | None
    https: str | None
    version: str
    socket: str | None


class HomeLock:
    """A server's claim on its home, held until ``release`` or the end of the process."""

    def __init__(self, home: Path) -> None:
        """Claim home, making the folder if needed.

        Raises ConflictError when a server has it, InvalidInputError when it is no usable folder.
        """
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(home / LOCK_NAME, flags, 0o600)
        except OSError as error:
            raise InvalidInputError(
                f"cannot use {home} as the home: {error.strerror}; choose another --home", "home"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise ConflictError(
                f"another server (pid {holder or 'unknown'}) uses {home}; stop it first, "
                "or choose another --home"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Give the home up. The file stays: removing it would let two servers hold two locks."""
        os.close(self._descriptor)


def write_server_file(home: Path, note: ServerFile) -> None:
    """Write the note so that a reader sees the whole of it or nothing."""
    fresh = home / f"{NOTE_NAME}.new"
    fresh.write_bytes(msgspec.json.encode(note) + b"\n")
    fresh.replace(home / NOTE_NAME)


def remove_server_file(home: Path) -> None:
    """Remove the note, if there is one; call it while the home is still locked."""
    (home / NOTE_NAME).unlink(missing_ok=True)
