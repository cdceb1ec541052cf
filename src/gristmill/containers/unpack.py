"""Layers: tar archives, packed or not, applied to a tree with their whiteouts."""

import bz2
import contextlib
import gzip
import hashlib
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol, cast

from gristmill.containers.trees import CHUNK, Meta, TreeWriter, refusal
from gristmill.domain.errors import InvalidInputError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
LONGEST_HEADER = 8 << 20
"""Bytes that the headers of one entry may take; tarfile reads them into memory at once."""

_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError)
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Digesting:
    """Reads a file and hashes all that passes."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self.digest.update(data)
        return data

    def drain(self) -> str:
        """Read the rest and return the hexadecimal digest of the whole file."""
        while self.read(CHUNK):
            pass
        return self.digest.hexdigest()


class _Forward:
    """The stream tarfile reads: seeks forward only, and bounds what one header may take."""

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._position = 0
        self.budget = LONGEST_HEADER
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int, /) -> bytes:
        if size > self.budget:
            raise InvalidInputError(
                f"an entry's header takes more than {LONGEST_HEADER} bytes", field="path"
            )
        self.budget -= size
        parts = []
        while size > 0 and (data := self._source.read(size)):
            parts.append(data)
            size -= len(data)
        self.last = b"".join(parts)
        self._position += len(self.last)
        return self.last

    def seek(self, position: int, _whence: int = 0, /) -> int:
        while self._position < position:
            data = self._source.read(min(CHUNK, position - self._position))
            if not data:
                break
            self._position += len(data)
        return self._position


def unpack(source: str, writer: TreeWriter, *, layered: bool) -> str:
    """Apply the archive at source to the writer's tree and return its sha256 in hexadecimal.

    The packing (none, gzip, bzip2, xz) is seen from the content. layered: treat whiteout
    names as removals of what earlier layers brought. Raises InvalidInputError for what is
    not an archive, is damaged, hostile or too large.
    """
    what = f"archive {os.path.basename(source)!r}"
    with open(source, "rb") as file:
        digesting = _Digesting(file)
        opened = _decompressed(digesting, _magic(file), what)
        try:
            _apply(_Forward(opened), writer, layered=layered)
        except _DAMAGE as error:
            raise InvalidInputError(f"{what} is damaged: {error}", field="path") from error
        except OSError as error:
            if error.errno is None:
                raise InvalidInputError(f"{what} is damaged: {error}", field="path") from error
            raise refusal(error, f"an entry of {what}") or error from error
        return digesting.drain()


def is_archive(source: str) -> bool:
    """Whether the file begins like an archive that unpack takes, packed or not."""
    try:
        with open(source, "rb") as file:
            stream = _Forward(_decompressed(_Digesting(file), _magic(file), source))
            with tarfile.open(fileobj=stream, mode="r:"):  # type: ignore[call-overload]
                return True
    except (InvalidInputError, OSError, *_DAMAGE):
        return False


def _magic(file: BinaryIO) -> bytes:
    start = file.read(8)
    file.seek(0)
    return start


def _decompressed(source: _Digesting, magic: bytes, what: str) -> _Readable:
    file = cast("BinaryIO", source)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(file)
    if magic.startswith(_ZSTANDARD):
        raise InvalidInputError(
            f"{what} is packed with zstd; repack it with gzip, bzip2 or xz", field="path"
        )
    return source


def _apply(stream: _Forward, writer: TreeWriter, *, layered: bool) -> None:
    made: set[str] = set()
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        while member := archive.next():
            # tarfile keeps every entry it has seen; a million of them would fill memory.
            archive.members.clear()
            stream.budget = 1 << 62
            base = os.path.basename(member.name.rstrip("/"))
            if layered and base.startswith(WHITEOUT):
                _white_out(member.name, base, writer, made)
            else:
                _add(archive, member, writer)
                if layered:
                    _remember(writer.place_of(member.name), made)
            stream.budget = LONGEST_HEADER
    if stream.last.strip(b"\0"):
        raise InvalidInputError("the archive is damaged: it ends in the middle", field="path")


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, writer: TreeWriter) -> None:
    meta = Meta(member.mode, member.uid, member.gid, member.mtime)
    if member.isdir():
        writer.directory(member.name, meta)
    elif member.issym():
        writer.symlink(member.name, meta, member.linkname)
    elif member.islnk():
        writer.hard_link(member.name, member.linkname)
    elif member.isreg():
        writer.file(member.name, meta, _content(archive, member))
    else:
        writer.skip(member.name, "device nodes and pipes are not taken into an image")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    source = archive.extractfile(member)
    assert source is not None
    left = member.size
    with contextlib.closing(source):
        while left > 0:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise EOFError(f"the content of {member.name!r} is cut off")
            left -= len(chunk)
            yield chunk


def _white_out(name: str, base: str, writer: TreeWriter, made: set[str]) -> None:
    folder = name.rstrip("/")[: -len(base)]
    hidden = base.removeprefix(WHITEOUT)
    if base == OPAQUE:
        for child in writer.children(folder):
            _remove_lower(child, writer, made)
    elif hidden in {"", ".", ".."}:
        raise InvalidInputError(f"whiteout {name!r} names nothing", field="path")
    else:
        _remove_lower(writer.place_of(folder + hidden), writer, made)


def _remove_lower(path: str, writer: TreeWriter, made: set[str]) -> None:
    """Remove what lies at path, but for what this layer itself has brought."""
    if path not in made:
        writer.remove(path.lstrip("/"))
        return
    for child in writer.children(path.lstrip("/")):
        _remove_lower(child, writer, made)


def _remember(path: str, made: set[str]) -> None:
    while path != "/" and path not in made:
        made.add(path)
        path = os.path.dirname(path)
