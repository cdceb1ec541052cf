"""A job's Key: what makes two submissions the same work."""

from collections.abc import Callable, Sequence
from importlib import import_module

from gristmill.dialects.wr.fingerprint import fingerprint128
from gristmill.dialects.wr.wire import MountConfig

KEY_LENGTH = 32
_BLANK_MOUNT, _BLANK_PROFILE = "mnt", "default"


def _compiled() -> Callable[[bytes], int]:
    """Return the compiled hash where it is installed; both give the same."""
    try:
        function: Callable[[bytes], int] = import_module("farmhash").Fingerprint128
    except ImportError:
        return fingerprint128
    return function


fingerprint = _compiled()


def job_key(command: str, cwd: str | None = None, mounts: Sequence[MountConfig] = ()) -> str:
    """Return 32 hex digits. cwd: only where the working directory matters."""
    prefix = f"{cwd}." if cwd is not None else ""
    text = f"{prefix}{command}.{mount_key(mounts)}"
    return f"{fingerprint(text.encode()):032x}"


def mount_key(mounts: Sequence[MountConfig]) -> str:
    """Return the part of the Key that mounts make, empty without any."""
    parts = []
    for mount in sorted(mounts, key=lambda mount: mount.mount):
        parts.append(f"{mount.mount or _BLANK_MOUNT}:")
        parts += [f"{target.profile or _BLANK_PROFILE}-{target.path};" for target in mount.targets]
    return "".join(parts)
