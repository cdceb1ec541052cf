"""Where bytes are kept: files of the home, or any store that fsspec reaches.

What was written is durable when ``write`` returns. Nothing is ever changed in place.
"""

import io
import os
from pathlib import Path
from typing import IO, Any, Protocol

from gristmill.workers.refusals import missing

S3 = "s3://"


class Blobs(Protocol):
    """A store of immutable files; paths are relative, made by the server."""

    def write(self, path: str, data: Any) -> int:
        """Store bytes or a buffer; return the size."""

    def read(self, path: str) -> bytes:
        """Return the whole blob."""

    def open(self, path: str) -> IO[bytes]:
        """Return a seekable file."""

    def delete(self, path: str) -> None:
        """Remove the blob; one that is gone already is no error."""


class LocalBlobs:
    """Files below a folder, synced with their folders."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def _place(self, path: str) -> Path:
        place = (self._root / path).resolve()
        if not place.is_relative_to(self._root.resolve()):
            raise missing(f"there is no blob {path!r}")
        return place

    def write(self, path: str, data: Any) -> int:
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = place.with_name(place.name + ".new")
        view = memoryview(data)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            written = 0
            while written < view.nbytes:
                written += file.write(view[written:]) or 0
            os.fsync(descriptor)
        fresh.rename(place)
        _sync_folders(place.parent, self._root)
        return view.nbytes

    def read(self, path: str) -> bytes:
        try:
            return self._place(path).read_bytes()
        except FileNotFoundError as error:
            raise missing(f"the stored bytes of {path!r} are gone") from error

    def open(self, path: str) -> IO[bytes]:
        try:
            return self._place(path).open("rb")
        except FileNotFoundError as error:
            raise missing(f"the stored bytes of {path!r} are gone") from error

    def delete(self, path: str) -> None:
        place = self._place(path)
        for each in (place, place.with_name(place.name + ".new")):
            each.unlink(missing_ok=True)
        try:
            place.parent.rmdir()
        except OSError:
            return


class RemoteBlobs:
    """Objects below a URL such as ``s3://bucket/prefix``; one is there whole or not at all."""

    def __init__(self, url: str) -> None:
        if url.startswith(S3):
            self._system, self._root = _s3(), url.removeprefix(S3)
        else:
            import fsspec

            self._system, self._root = fsspec.core.url_to_fs(url)

    def _place(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def write(self, path: str, data: Any) -> int:
        view = memoryview(data)
        self._system.pipe_file(self._place(path), bytes(view))
        return view.nbytes

    def read(self, path: str) -> bytes:
        try:
            found: bytes = self._system.cat_file(self._place(path))
        except FileNotFoundError as error:
            raise missing(f"the stored bytes of {path!r} are gone") from error
        return found

    def open(self, path: str) -> IO[bytes]:
        try:
            file: IO[bytes] = self._system.open(self._place(path), "rb")
        except FileNotFoundError as error:
            raise missing(f"the stored bytes of {path!r} are gone") from error
        return file

    def delete(self, path: str) -> None:
        try:
            self._system.rm_file(self._place(path))
        except FileNotFoundError:
            return


def _s3() -> Any:
    """Return S3, or what is compatible with it at AWS_ENDPOINT_URL, through Arrow's own client.

    Credentials and the region are found as the tools of AWS find them.
    """
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    options: dict[str, Any] = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        options.update(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
        # Without a region the client would ask AWS for the bucket's.
        region = region or "us-east-1"
    if region:
        options["region"] = region
    return ArrowFSWrapper(S3FileSystem(**options))


_known: dict[str, Blobs] = {}


def blobs_at(root: str) -> Blobs:
    """Return the store at a folder or URL."""
    if root not in _known:
        _known[root] = RemoteBlobs(root) if "://" in root else LocalBlobs(root)
    return _known[root]


def buffer() -> io.BytesIO:
    """Return a place for bytes that are about to be stored."""
    return io.BytesIO()


def _sync_folders(folder: Path, root: Path) -> None:
    """Make a new name durable, and the folders that may have come with it."""
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent
