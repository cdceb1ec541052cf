"""Small real root file systems, and archives of every kind made of them."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

APPLETS = (
    "sh", "cat", "echo", "env", "id", "ls", "mkdir", "nohup", "ps", "pwd", "setsid", "sleep",
    "test", "touch", "true", "wc",
)  # fmt: skip


def static_busybox() -> str | None:
    """Where a busybox that needs no libraries is, if anywhere."""
    found = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/bin")
    if found is None:
        return None
    with open(found, "rb") as file:
        return None if b"/ld-linux" in file.read(4096) else found


def busybox_rootfs(path: Path) -> Path:
    """Make a root file system with busybox in a new folder; skip the test without busybox."""
    busybox = static_busybox()
    if busybox is None:
        pytest.skip("busybox-static is not installed (run scripts/system-packages)")
    binaries = path / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(busybox, binaries / "busybox")
    for applet in APPLETS:
        (binaries / applet).symlink_to("busybox")
    (path / "etc").mkdir()
    (path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return path


def tar_of(folder: Path, archive: Path, mode: str = "w") -> Path:
    """Pack a folder's content; mode as tarfile takes it, such as ``w:gz``."""
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for child in sorted(folder.iterdir()):
            tar.add(child, arcname=child.name)
    return archive


Entry = tuple[str, str, bytes | str]
"""Kind (``file``, ``folder``, ``link``, ``hard``, ``device``, ``pipe``), name, content."""

_KINDS = {
    "file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE,
}  # fmt: skip


def tar_bytes(
    entries: Sequence[Entry], change: Callable[[tarfile.TarInfo], None] = lambda _: None
) -> bytes:
    """Return an archive of hand-made entries, hostile ones included."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for kind, name, content in entries:
            info = tarfile.TarInfo(name)
            info.type = _KINDS[kind]
            info.mode = 0o755
            if isinstance(content, str):
                info.linkname = content
            else:
                info.size = len(content)
            change(info)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()
