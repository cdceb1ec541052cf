"""Archives that jobs bring, unpacked so that nothing leaves the job's folder."""

import bz2
import gzip
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

from gristmill.containers.trees import CHUNK, Meta, TreeWriter
from gristmill.containers.unpack import unpack
from gristmill.domain.errors import InvalidInputError

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2")
_PACKED: dict[str, Callable[[str], IO[bytes]]] = {
    ".gz": lambda path: cast("IO[bytes]", gzip.GzipFile(path)),
    ".bz2": lambda path: cast("IO[bytes]", bz2.BZ2File(path)),
}
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked."""
    return name.lower().endswith((*_TARS, *_PACKED, ".zip"))


def extract(path: str, writer: TreeWriter) -> None:
    """Unpack the archive at path into the writer's folder, by its name.

    Raises InvalidInputError for damage, members that would leave the folder, and too much.
    """
    lower = path.lower()
    if lower.endswith(_TARS):
        unpack(path, writer, layered=False)
    elif lower.endswith(".zip"):
        _extract_zip(path, writer)
    else:
        _extract_single(path, writer)


def _extract_single(path: str, writer: TreeWriter) -> None:
    stem, suffix = os.path.splitext(os.path.basename(path))
    with _PACKED[suffix.lower()](path) as source:
        meta = Meta(0o644, 0, 0, os.stat(path).st_mtime)
        writer.file(stem or "file", meta, _chunks(source, stem))


def _extract_zip(path: str, writer: TreeWriter) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _extract_entry(archive, info, writer)
    except _DAMAGE as error:
        raise InvalidInputError(f"the archive is damaged: {error}") from error


def _extract_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, writer: TreeWriter) -> None:
    mode = info.external_attr >> 16
    if info.is_dir():
        writer.directory(info.filename, Meta(mode & 0o777 or 0o755, 0, 0, 0))
        return
    if stat.S_ISLNK(mode):
        with archive.open(info) as source:
            writer.symlink(info.filename, Meta(0o777, 0, 0, 0), os.fsdecode(source.read(4096)))
        return
    with archive.open(info) as source:
        meta = Meta(mode & 0o777 or 0o644, 0, 0, 0)
        writer.file(info.filename, meta, _chunks(source, info.filename))


def _chunks(source: IO[bytes], name: str) -> Iterator[bytes]:
    try:
        while chunk := source.read(CHUNK):
            yield chunk
    except _DAMAGE as error:
        raise InvalidInputError(f"{name!r} is damaged: {error}") from error
