"""Processes that a dead agent left behind, found and ended without its help.

Their agent is gone, so parents lead nowhere. A leftover is known by the marker in its
environment or by its cgroup; whatever shares a session with one, or stands below one, goes too.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gristmill.agent.cgroups import Cgroups, detect, node_folder
from gristmill.agent.killing import LONGEST_PAUSE, SHORTEST_PAUSE, stop_and_kill
from gristmill.agent.processes import (
    Process,
    ProcessTable,
    Stat,
    all_pids,
    control_groups,
    descendants,
    environ_marker,
    is_alive,
    read_stat,
    read_table,
    session_members,
)
from gristmill.domain.clock import Chance

PATIENCE = 30.0
"""Seconds after which processes that do not die, stuck in the kernel, are given up."""

_EMPTY_LOOKS = 3
"""Looks in a row that find nobody; one alone may miss a process that is just forking."""

_MOST_GLANCES = 50


class Leftover(NamedTuple):
    """A process that a dead agent left. marker: of the member it was recognised by.

    ended: False when this user may not end it, or the kernel does not let go of it.
    """

    process: Process
    marker: str
    ended: bool


def kill_leftovers(
    node: str,
    instance_alive: Callable[[], bool],
    chance: Chance,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Leftover]:
    """Kill what dead agents of this node left on this machine, until nothing of it lives.

    node: the stable id in the markers; processes of other nodes are not touched.
    instance_alive: asked before every round whether an agent of this node works now; then its
    processes are no leftovers, and nothing (more) is killed.
    Blocks for a few milliseconds mostly. Returns all that was found.
    """
    if instance_alive():
        return []
    hunt = _Hunt(node)
    cgroups = detect(node)
    deadline = chance.monotonic() + PATIENCE
    pause = SHORTEST_PAUSE
    empty_looks = 0
    while not instance_alive() and chance.monotonic() < deadline:
        if hunt.refused.issuperset(stat.process for stat in hunt.find()):
            empty_looks += 1
            if empty_looks == _EMPTY_LOOKS:
                cgroups.close()
                break
            continue
        empty_looks = 0
        _kill_groups(cgroups)
        hunt.refused |= stop_and_kill(hunt.find)
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return [
        Leftover(process, marker, not is_alive(process)) for process, marker in hunt.seen.items()
    ]


def _kill_groups(cgroups: Cgroups) -> None:
    for group in cgroups.existing():
        if group.processes():
            group.kill()


class _Hunt:
    """Looks again and again, and forgets nobody it has seen."""

    def __init__(self, node: str) -> None:
        self.seen: dict[Process, str] = {}
        self.refused: set[Process] = set()
        self._node = node
        self._folder = node_folder(node)

    def find(self) -> Iterator[Stat]:
        """Find all there is now, until no further process turns up on the machine."""
        spared = _self_and_ancestors()
        examined = set(spared)
        heads: list[Stat] = []
        for _ in range(_MOST_GLANCES):
            # The youngest first: they are the ones that may slip away.
            fresh = [pid for pid in reversed(all_pids()) if pid not in examined]
            if not fresh:
                break
            for pid in fresh:
                stat = read_stat(pid)
                marker = stat and (self.seen.get(stat.process) or self._recognise(pid))
                if stat is None or marker or not stat.leaving:
                    examined.add(pid)
                if stat is not None and marker:
                    self.seen[stat.process] = marker
                    heads.append(stat)
                    yield stat
        if heads:
            yield from self._relatives(heads, spared)

    def _relatives(self, heads: list[Stat], spared: set[int]) -> Iterator[Stat]:
        table = read_table()
        spared_sessions = {table.stats[pid].session for pid in spared if pid in table.stats}
        found = {head.process for head in heads}
        for head in heads:
            related = [*descendants(head.process.pid, table)]
            if head.session and head.session not in spared_sessions:
                related += self._session(head.session, table)
            for stat in related:
                if stat.process.pid not in spared and stat.process not in found:
                    found.add(stat.process)
                    self.seen[stat.process] = self.seen[head.process]
                    yield stat

    def _session(self, session: int, table: ProcessTable) -> list[Stat]:
        """Return the session's processes, but for those that another node marked as its own."""
        members = session_members(session, table)
        return [stat for stat in members if environ_marker(stat.process.pid) is None]

    def _recognise(self, pid: int) -> str | None:
        marker = environ_marker(pid)
        if marker is not None:
            return marker if marker.rpartition("/")[0] == self._node else None
        for path in control_groups(pid):
            _, inside, below = path.partition(f"/{self._folder}/")
            if inside:
                return f"{self._node}/{below.partition('/')[0]}"
        return None


def _self_and_ancestors() -> set[int]:
    spared = {0, 1}
    pid = os.getpid()
    while pid not in spared:
        spared.add(pid)
        stat = read_stat(pid)
        pid = 1 if stat is None else stat.parent
    return spared
