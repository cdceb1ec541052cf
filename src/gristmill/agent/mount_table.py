"""The kernel's table of mounts: who is in it, overlays put there, and anything taken out."""

import contextlib
import ctypes
import errno
import os
import subprocess
from collections.abc import Sequence

from gristmill.agent.processes import read_file

_DETACH = 2
"""The kernel's MNT_DETACH: out of the tree now, gone when nobody uses it any more."""

_libc = ctypes.CDLL(None, use_errno=True)


def mounted() -> set[str]:
    """Return the folders at which something is mounted; asks none of the file systems."""
    lines = read_file("/proc/self/mountinfo").splitlines()
    return {os.fsdecode(_unescape(line.split(b" ", 5)[4])) for line in lines}


def _unescape(field: bytes) -> bytes:
    """Undo the octal escapes of blanks, tabs, line feeds and backslashes."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def is_below(folder: str, points: set[str]) -> bool:
    """Whether something is mounted at the folder or below it."""
    return any(point == folder or point.startswith(f"{folder}/") for point in points)


def mount_overlay(
    point: str, lower: Sequence[str], upper: str | None = None, work: str | None = None
) -> None:
    """Show several folders as one, the first on top; what is written goes to upper.

    Without upper nothing can be written. Raises OSError.
    """
    options = ["lowerdir=" + ":".join(map(_escape, lower)), "redirect_dir=off", "metacopy=off"]
    if upper is not None and work is not None:
        options += [f"upperdir={_escape(upper)}", f"workdir={_escape(work)}"]
    data = os.fsencode(",".join(options))
    if _libc.mount(b"overlay", os.fsencode(point), b"overlay", 0, data):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), point)


def _escape(path: str) -> str:
    for special in "\\:,":
        path = path.replace(special, f"\\{special}")
    return path


def unmount(point: str) -> None:
    """Take a mount away, at once even when it is in use or its process is dead.

    Raises OSError when this user may not.
    """
    if os.geteuid() != 0:
        _unmount_as_user(point)
        return
    path = os.fsencode(point)
    if _libc.umount2(path, 0) == 0:
        return
    if _libc.umount2(path, _DETACH):
        number = ctypes.get_errno()
        if number != errno.EINVAL:
            raise OSError(number, os.strerror(number), point)


def _unmount_as_user(point: str) -> None:
    """Have the helper of FUSE do it; only what the agent's user has mounted can be unmounted."""
    for program in ("fusermount3", "fusermount"):
        with contextlib.suppress(FileNotFoundError):
            subprocess.run([program, "-u", "-z", "--", point], check=False, capture_output=True)
            break
    if point in mounted():
        raise OSError(errno.EPERM, "cannot be unmounted", point)
