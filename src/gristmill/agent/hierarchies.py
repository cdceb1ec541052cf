"""Where this process stands in the kernel's cgroup hierarchies, and what may be built below it."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from gristmill.agent.processes import read_file

SELF_FOLDER = "gristmill_self"
"""Group the agent and its neighbours step into, so that limits can stand beside them (v2)."""

V1_CONTROLLERS = ("memory", "cpuacct", "cpu", "freezer")

_ESCAPE = re.compile(r"\\([0-7]{3})")
_ADOPTION_ROUNDS = 20


class Mount(NamedTuple):
    """One mounted hierarchy. root: the part of it that is mounted."""

    folder: str
    root: str
    version: int
    controllers: frozenset[str]


class Hierarchy(NamedTuple):
    """One hierarchy that may be used. base: the folder below which members' groups go."""

    base: str
    version: int


def find_hierarchies(
    mounts: list[Mount] | None = None, paths: dict[str, str] | None = None
) -> dict[str, Hierarchy]:
    """Find a writable hierarchy for each role.

    Roles: ``tree`` (v2: kill, freeze, count), ``memory``, ``cpu``, ``cpuacct``, ``freezer``.
    mounts, paths: as the kernel tells them for this process when not given.
    """
    mounts = list(read_mounts()) if mounts is None else mounts
    paths = read_own_paths() if paths is None else paths
    found: dict[str, Hierarchy] = {}
    for mount in mounts:
        for controller in sorted(mount.controllers & paths.keys()):
            base = _base(mount, paths[controller])
            if base is not None:
                found.setdefault(controller, Hierarchy(base, mount.version))
    tree = found.get("tree")
    if tree is None:
        return found
    for controller in ("memory", "cpu"):
        if controller not in found and offers(tree.base, controller):
            found[controller] = tree
    for superfluous in ("freezer", "cpuacct"):
        found.pop(superfluous, None)
    return found


def read_mounts() -> Iterator[Mount]:
    """Read which hierarchies are mounted, and where."""
    for line in read_file("/proc/self/mountinfo").decode(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        root, folder = (_unescape(word) for word in left.split(" ")[3:5])
        if kind == "cgroup2":
            yield Mount(folder, root, 2, frozenset({"tree"}))
        else:
            yield Mount(folder, root, 1, frozenset(V1_CONTROLLERS).intersection(options.split(",")))


def read_own_paths() -> dict[str, str]:
    """Read where this process is in each hierarchy, by controller; ``tree`` for v2."""
    paths: dict[str, str] = {}
    for line in read_file("/proc/self/cgroup").decode(errors="surrogateescape").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            paths["tree"] = path
        else:
            paths |= dict.fromkeys(controllers.split(","), path)
    return paths


def _base(mount: Mount, path: str) -> str | None:
    below = path if mount.root == "/" else path.removeprefix(mount.root)
    if (mount.root != "/" and below == path) or "/.." in path:
        return None
    base = f"{mount.folder}{below}".rstrip("/").removesuffix(f"/{SELF_FOLDER}")
    return base if os.access(base, os.W_OK | os.X_OK) else None


def _unescape(word: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), word)


def offers(folder: str, controller: str) -> bool:
    """Whether a v2 group has this controller to hand on."""
    try:
        return controller in read_file(f"{folder}/cgroup.controllers").decode().split()
    except OSError:
        return False


def enable(base: str, controller: str) -> bool:
    """Hand a v2 controller on to the groups below base; False where the kernel refuses.

    v2 wants no process beside groups with limits. Where the subtree was given to us, those
    that stand in base are moved one step down, into a group of their own.
    """
    try:
        write(f"{base}/cgroup.subtree_control", f"+{controller}")
    except OSError as error:
        if error.errno != errno.EBUSY or not _is_ours(base):
            return False
    else:
        return True
    try:
        _step_down(base)
        write(f"{base}/cgroup.subtree_control", f"+{controller}")
    except OSError:
        return False
    return True


def _is_ours(base: str) -> bool:
    """Whether someone handed this subtree over: systemd says so, or it is all we can see."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(base, name) == b"1":
                return True
    return any(mount.version == 2 and mount.folder == base for mount in read_mounts())


def _step_down(base: str) -> None:
    below = f"{base}/{SELF_FOLDER}"
    os.makedirs(below, exist_ok=True)
    for _ in range(_ADOPTION_ROUNDS):
        pids = read_file(f"{base}/cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                write(f"{below}/cgroup.procs", pid.decode())


def write(path: str, text: str) -> None:
    """Write a control file in one go; it must exist. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def try_write(path: str, text: str) -> bool:
    """Write a control file; False when it is missing or refuses."""
    try:
        write(path, text)
    except OSError:
        return False
    return True


def read_number(path: str) -> int | None:
    """Read a control file that holds one number."""
    try:
        return int(read_file(path))
    except (OSError, ValueError):
        return None


def read_field(path: str, name: str) -> int | None:
    """Read one ``name number`` line of a control file."""
    try:
        lines = read_file(path).decode().splitlines()
    except OSError:
        return None
    for line in lines:
        word, _, number = line.partition(" ")
        if word == name:
            return int(number)
    return None


def folders_below(top: str) -> list[str]:
    """Return a group and all groups below it, the deepest first."""
    return [folder for folder, _, _ in os.walk(top, topdown=False)]
