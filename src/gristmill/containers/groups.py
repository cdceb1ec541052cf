"""Control groups that a killed container runtime could not remove itself."""

import errno
import os
import time

_ROOT = "/sys/fs/cgroup"
PATIENCE = 5.0
"""Seconds to wait for killed processes to leave their group."""


def remove_groups(name: str) -> None:
    """Remove the groups of this name below the ones that this process is in."""
    until = time.monotonic() + PATIENCE
    for folder in _own_groups():
        for path, children, _ in os.walk(folder):
            if name in children:
                _remove(os.path.join(path, name), until)
                children.remove(name)


def _own_groups() -> list[str]:
    """Return this process's folders in all hierarchies, of either version of cgroups."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    found = []
    for _, controllers, path in lines:
        mounts = ["", "unified"] if not controllers else [controllers.removeprefix("name=")]
        found += [os.path.join(_ROOT, mount, path.lstrip("/")) for mount in mounts]
    is_hybrid = any(controllers for _, controllers, _ in lines)
    return [path for path in found if os.path.isdir(path) and not (is_hybrid and _top(path))]


def _top(path: str) -> bool:
    return path.rstrip("/") == _ROOT


def _remove(group: str, until: float) -> None:
    while True:
        try:
            os.rmdir(group)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                return
            time.sleep(0.005)
        else:
            return
