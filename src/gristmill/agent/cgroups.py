"""Control groups for members: limits and kills that no process can slip out of.

What a machine offers is found out once: the v2 hierarchy where its subtree is ours, v1
hierarchies where they can be written (beside them a v2 one without controllers, which still
kills and counts), or nothing. Whatever fails later turns the rest off, with one note.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal
from urllib.parse import quote

from gristmill.agent.hierarchies import (
    Hierarchy,
    enable,
    find_hierarchies,
    folders_below,
    read_field,
    read_number,
    try_write,
    write,
)
from gristmill.agent.processes import read_file

Kind = Literal["v2", "v1", "none"]

_ALWAYS = ("tree", "freezer", "cpuacct")
_QUOTA_PERIOD = 100_000
_ADOPTION_ROUNDS = 20
_FREEZE_PATIENCE = 0.25
_LONGEST_NODE = 120
_MB = 1 << 20
_NO_CGROUPS = (
    "cgroups cannot be written here: processes are found through the process table, "
    "and memory is limited by looking at it every second"
)


def node_folder(node: str) -> str:
    """Name of the group that holds a node's members; different nodes never share one."""
    name = quote(node, safe="")
    if len(name) > _LONGEST_NODE:
        name = hashlib.sha256(node.encode()).hexdigest()
    return f"gristmill-{name}"


class MemberGroup:
    """The group of one member in every hierarchy that is used; in none, each act does nothing.

    folders: its folder by role. version: of the hierarchy that limits memory.
    fail: told why when the kernel refuses something that it offered.
    """

    def __init__(
        self,
        folders: dict[str, str],
        version: int = 1,
        fail: Callable[[str], None] | None = None,
    ) -> None:
        self._folders = folders
        self._version = version
        self._fail = fail

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel itself keeps this member's memory limit."""
        return "memory" in self._folders

    def adopt(self, find: Callable[[], Iterable[int]]) -> bool:
        """Move a whole tree in, looking again until nobody new is found.

        find: ids of the tree's processes now. False when there is no group or it is refused.
        """
        moved: set[int] = set()
        for _ in range(_ADOPTION_ROUNDS if self._folders else 0):
            outside = set(find()) - moved
            if not all(self._move(pid) for pid in outside):
                return False
            if not outside:
                break
            moved |= outside
        return bool(self._folders)

    def _move(self, pid: int) -> bool:
        for folder in set(self._folders.values()):
            try:
                write(f"{folder}/cgroup.procs", str(pid))
            except ProcessLookupError:
                return True
            except FileNotFoundError:
                return False
            except OSError as error:
                if self._fail is not None:
                    self._fail(f"cannot move a process into {folder}: {error.strerror}")
                return False
        return True

    def processes(self) -> list[int]:
        """Ids of all processes inside, also in groups that the member made below."""
        found: list[int] = []
        for top in self._folders.values():
            for folder in folders_below(top):
                with contextlib.suppress(OSError):
                    found += map(int, read_file(f"{folder}/cgroup.procs").split())
            break
        return [pid for pid in found if pid > 0]

    def kill(self) -> bool:
        """Kill everything inside, forks in flight included; False when it cannot."""
        if "tree" in self._folders:
            tree = self._folders["tree"]
            if try_write(f"{tree}/cgroup.kill", "1"):
                return True
            return self._kill_frozen(
                f"{tree}/cgroup.freeze",
                ("1", "0"),
                lambda: read_field(f"{tree}/cgroup.events", "frozen") == 1,
            )
        if "freezer" in self._folders:
            switch = f"{self._folders['freezer']}/freezer.state"
            return self._kill_frozen(
                switch, ("FROZEN", "THAWED"), lambda: read_file(switch) == b"FROZEN\n"
            )
        return False

    def _kill_frozen(
        self, switch: str, states: tuple[str, str], is_frozen: Callable[[], bool]
    ) -> bool:
        freeze, thaw = states
        if not try_write(switch, freeze):
            return False
        try:
            deadline = time.monotonic() + _FREEZE_PATIENCE
            while not is_frozen() and time.monotonic() < deadline:
                time.sleep(0.001)
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            try_write(switch, thaw)
        return True

    def peak_memory_mb(self) -> float | None:
        """Most memory held at once since adoption, file cache included: an upper bound.

        None unless a memory limit was asked for, or where the kernel does not say.
        """
        name = "memory.peak" if self._version == 2 else "memory.max_usage_in_bytes"
        peak = read_number(f"{self._folders.get('memory', '')}/{name}")
        return None if peak is None else peak / _MB

    def cpu_seconds(self) -> float | None:
        """CPU time since adoption of all that ever ran inside; None where it is not counted."""
        if "tree" in self._folders:
            used = read_field(f"{self._folders['tree']}/cpu.stat", "usage_usec")
            return None if used is None else used / 1e6
        used = read_number(f"{self._folders.get('cpuacct', '')}/cpuacct.usage")
        return None if used is None else used / 1e9

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process inside to keep the memory limit."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        return bool(read_field(f"{self._folders.get('memory', '')}/{name}", "oom_kill"))

    def remove(self) -> bool:
        """Remove the group; False while something still lives in it."""
        gone = [remove_folder(folder) for folder in set(self._folders.values())]
        return all(gone)


NO_GROUP: Final = MemberGroup({})


class Cgroups:
    """What this machine offers to the agent of one node.

    kind: the path that is taken. note: one line for the log; changes when something fails.
    """

    def __init__(self, node: str, hierarchies: dict[str, Hierarchy]) -> None:
        self._hierarchies = dict(hierarchies)
        self._parents = {
            role: f"{hierarchy.base}/{node_folder(node)}" for role, hierarchy in hierarchies.items()
        }
        for role, parent in self._parents.items():
            if not self._prepare(role, parent):
                del self._hierarchies[role]
        versions = {hierarchy.version for hierarchy in self._hierarchies.values()}
        self.kind: Kind = "none"
        self.note = _NO_CGROUPS
        if versions:
            self.kind = "v2" if versions == {2} else "v1"
            self.note = f"cgroups {self.kind}: {', '.join(sorted(self._hierarchies))}"
        if self.kind == "v2" and "memory" not in self._hierarchies:
            self.note += "; memory is limited by looking at it every second"

    def _prepare(self, role: str, parent: str) -> bool:
        try:
            os.makedirs(parent, exist_ok=True)
        except OSError:
            return False
        hierarchy = self._hierarchies[role]
        if role == "memory" and hierarchy.version == 2:
            return enable(hierarchy.base, role) and enable(parent, role)
        return os.access(f"{parent}/cgroup.procs", os.W_OK)

    def create(
        self, name: str, memory_mb: int | None = None, cpus: float | None = None
    ) -> MemberGroup:
        """Make the group of a member, with limits in MB and cores where they are given.

        What cannot be made is left out, down to a group that does nothing.
        """
        if self.kind == "none":
            return NO_GROUP
        roles = [role for role in _ALWAYS if role in self._hierarchies]
        roles += ["memory"] if memory_mb is not None and "memory" in self._hierarchies else []
        roles += ["cpu"] if cpus is not None and self._can_limit_cpus() else []
        folders = {role: f"{self._parents[role]}/{name}" for role in roles}
        version = self._hierarchies["memory"].version if "memory" in folders else 1
        group = MemberGroup(folders, version, self._give_up)
        try:
            for folder in set(folders.values()):
                os.makedirs(folder, exist_ok=True)
            self._limit(folders, memory_mb, cpus)
        except OSError as error:
            group.remove()
            self._give_up(f"cannot write {error.filename}: {error.strerror}")
            return NO_GROUP
        return group

    def _can_limit_cpus(self) -> bool:
        hierarchy = self._hierarchies.get("cpu")
        if hierarchy is None or hierarchy.version == 1:
            return hierarchy is not None
        return enable(hierarchy.base, "cpu") and enable(self._parents["cpu"], "cpu")

    def _limit(self, folders: dict[str, str], memory_mb: int | None, cpus: float | None) -> None:
        if "memory" in folders and memory_mb is not None:
            unified = self._hierarchies["memory"].version == 2
            name = "memory.max" if unified else "memory.limit_in_bytes"
            write(f"{folders['memory']}/{name}", str(memory_mb * _MB))
        if "cpu" in folders and cpus is not None:
            quota = max(round(cpus * _QUOTA_PERIOD), 1000)
            if self._hierarchies["cpu"].version == 2:
                write(f"{folders['cpu']}/cpu.max", f"{quota} {_QUOTA_PERIOD}")
            else:
                write(f"{folders['cpu']}/cpu.cfs_quota_us", str(quota))

    def _give_up(self, why: str) -> None:
        if self.kind != "none":
            self.kind = "none"
            self.note = f"{why}; {_NO_CGROUPS}"

    def existing(self) -> list[MemberGroup]:
        """Return the groups of this node's members that are there now, from whatever agent."""
        names: dict[str, dict[str, str]] = {}
        for role in self._hierarchies:
            with contextlib.suppress(OSError):
                for entry in os.scandir(self._parents[role]):
                    if entry.is_dir():
                        names.setdefault(entry.name, {})[role] = entry.path
        return [MemberGroup(folders) for folders in names.values()]

    def clean(self) -> None:
        """Remove the groups in which nothing lives; for the start, before the first member."""
        for group in self.existing():
            group.remove()

    def close(self) -> None:
        """Remove all groups in which nothing lives, and the node's own when no other is left."""
        for parent in set(self._parents.values()):
            remove_folder(parent)


def remove_folder(top: str) -> bool:
    """Remove a group and those below it; True when it is gone."""
    for folder in folders_below(top):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not os.path.exists(top)


def detect(node: str) -> Cgroups:
    """Find out what this machine offers to an agent.

    node: the agent's stable id; groups of different nodes are kept apart.
    """
    return Cgroups(node, find_hierarchies())
