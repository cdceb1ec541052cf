"""Files that clients bring to the server's machine, and the scripts it reads from there."""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from gristmill.dialects.wr.errors import UPLOAD_FAILED, RefusedError, bad_job
from gristmill.domain.identity import Identity

MODE = 0o600
MOST_SCRIPT_BYTES = 1 << 20


class Uploads:
    """folder: where files without a path go. home: the server's own files, out of bounds."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._home = Path(os.path.realpath(home))

    async def store(self, who: Identity, wanted: str, chunks: AsyncIterator[bytes]) -> str:
        """Keep a file; return its absolute path. wanted: empty for a path by content.

        Raises RefusedError.
        """
        target = self._target(who, wanted) if wanted else None
        try:
            return await self._receive(target, chunks)
        except OSError as error:
            raise RefusedError(500, UPLOAD_FAILED) from error

    async def _receive(self, target: Path | None, chunks: AsyncIterator[bytes]) -> str:
        folder = self._folder if target is None else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        # No other use than naming: equal contents share one path.
        digest = hashlib.md5(usedforsecurity=False)
        descriptor, draft = tempfile.mkstemp(dir=folder, prefix=".upload-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fchmod(file.fileno(), MODE)
                await asyncio.to_thread(os.fsync, file.fileno())
            if target is None:
                return self._keep_by_content(draft, digest.hexdigest())
            os.replace(draft, target)
            return str(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)

    def _keep_by_content(self, draft: str, digest: str) -> str:
        target = self._folder.joinpath(*digest[:3], digest[3:])
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, target)
        return str(target)

    def _target(self, who: Identity, wanted: str) -> Path:
        if not who.admin:
            raise RefusedError(403, "only an administrator may choose the path: leave it out")
        path = _expanded(wanted)
        if path is None:
            raise RefusedError(400, f"path [{wanted[:200]}] must be absolute or begin with ~/")
        if path.is_dir():
            raise RefusedError(400, f"path [{wanted[:200]}] is a directory")
        if not self._allowed(path, who):
            raise RefusedError(403, f"path [{wanted[:200]}] is among the server's own files")
        return path

    def read_script(self, who: Identity, wanted: str) -> str:
        """Return a script's content. Raises RefusedError."""
        path = _expanded(wanted)
        why = "it must be absolute or begin with ~/"
        if path is not None:
            why = "permission denied"
            if self._allowed(path, who):
                try:
                    return _read(path)
                except (OSError, ValueError) as error:
                    why = getattr(error, "strerror", None) or str(error)
        raise bad_job(f"path [{wanted[:200]}] could not be read: {why}")

    def _allowed(self, path: Path, who: Identity) -> bool:
        real = Path(os.path.realpath(path))
        if real.is_relative_to(self._folder):
            return True
        return who.admin and not real.is_relative_to(self._home)


def _expanded(wanted: str) -> Path | None:
    if "\0" in wanted:
        return None
    text = os.path.expanduser(wanted) if wanted.startswith("~/") else wanted
    return Path(os.path.normpath(text)) if text.startswith("/") else None


def _read(path: Path) -> str:
    if not path.is_file():
        raise ValueError("there is no such file")
    with open(path, "rb") as file:
        data = file.read(MOST_SCRIPT_BYTES + 1)
    if len(data) > MOST_SCRIPT_BYTES:
        raise ValueError(f"it has more than {MOST_SCRIPT_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
