"""A folder that holds a root file system, copied entry by entry into a tree."""

import hashlib
import os
import stat
from collections.abc import Iterator

from gristmill.containers.trees import CHUNK, Meta, TreeWriter, refusal
from gristmill.domain.errors import InvalidInputError


def copy_folder(source: str, writer: TreeWriter) -> str:
    """Copy the folder at source into the writer's tree; return a sha256 of all it holds.

    Links are copied as links, files with several names keep them, device nodes, pipes and
    sockets are skipped. Raises InvalidInputError for what cannot be read or is too large.
    """
    copier = _Copier(source.rstrip("/") or "/", writer)
    try:
        copier.folder("")
    except OSError as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise InvalidInputError(
                f"cannot read {error.filename!r}: {error.strerror}", field="path"
            ) from error
        raise refusal(error, f"an entry of {source!r}") or error from error
    return copier.digest.hexdigest()


class _Copier:
    def __init__(self, source: str, writer: TreeWriter) -> None:
        self._source = source
        self._writer = writer
        self._names: dict[tuple[int, int], str] = {}
        self.digest = hashlib.sha256()

    def folder(self, top: str) -> None:
        """Copy a folder and all below it, without recursion: trees may be very deep."""
        pending = [top]
        while pending:
            name = pending.pop()
            path = self._path(name)
            self._copy_folder(name, os.lstat(path))
            with os.scandir(path) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
            for entry in ordered:
                child = f"{name}/{entry.name}" if name else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(child)
                else:
                    self._copy_other(child, status)

    def _copy_folder(self, name: str, status: os.stat_result) -> None:
        self._writer.directory(name, _meta(status))
        self._note(name, status, b"")

    def _copy_other(self, name: str, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(self._path(name))
            self._writer.symlink(name, _meta(status), target)
            self._note(name, status, os.fsencode(target))
        elif stat.S_ISREG(status.st_mode):
            self._copy_file(name, status)
        else:
            self._writer.skip(name, "device nodes, pipes and sockets are not taken into an image")

    def _copy_file(self, name: str, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        if identity in self._names:
            self._writer.hard_link(name, self._names[identity])
            self._note(name, status, os.fsencode(self._names[identity]))
            return
        self._note(name, status, b"")
        self._writer.file(name, _meta(status), self._content(name))
        if status.st_nlink > 1:
            self._names[identity] = name

    def _content(self, name: str) -> Iterator[bytes]:
        descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as source:
            while chunk := source.read(CHUNK):
                self.digest.update(chunk)
                yield chunk

    def _path(self, name: str) -> str:
        return f"{self._source.rstrip('/')}/{name}" if name else self._source

    def _note(self, name: str, status: os.stat_result, extra: bytes) -> None:
        head = f"{status.st_mode:o} {status.st_size if not extra else 0} "
        self.digest.update(head.encode() + os.fsencode(name) + b"\0" + extra + b"\0")


def _meta(status: os.stat_result) -> Meta:
    return Meta(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime)
