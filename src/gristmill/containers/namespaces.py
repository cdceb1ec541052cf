"""A process namespace around engines that have none, so that killing one process ends all."""

import os
import shutil

_HIDE_CGROUPS = 'mount -t tmpfs none /sys/fs/cgroup 2>/dev/null; exec "$@"'


def own_processes(*, as_root: bool, network: bool = True) -> list[str]:
    """Return the words of a prefix that runs the rest in a process namespace of its own.

    as_root: an ordinary user appears as root inside. network: False for a network namespace.
    """
    words = [_unshare()]
    if os.geteuid() != 0:
        words.append("--map-root-user" if as_root else "--map-current-user")
    words += ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return words if network else [*words, "--net"]


def own_mounts() -> list[str]:
    """Return the words of a prefix that gives the rest a mount namespace; for root only."""
    return [_unshare(), "--mount"]


def without_cgroups() -> list[str]:
    """Return the words of a prefix that hides cgroups in the mount namespace it runs in.

    Some runtimes refuse machines that have both versions of cgroups.
    """
    return ["/bin/sh", "-c", _HIDE_CGROUPS, "sh"]


def _unshare() -> str:
    return shutil.which("unshare", path="/usr/bin:/bin") or "unshare"
