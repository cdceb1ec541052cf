"""What containers used, where the engine's process does not wait for them.

Such an engine's process ends when the command has ended, and leaves the container's first
process, which has waited for the command, to be inherited by the agent. It has the same session.
"""

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple

from gristmill.agent.processes import children_of, read_file

PATIENCE = 1.0
"""Seconds an orphan has to end after the engine's process; it is killed by then."""


class Used(NamedTuple):
    """CPU seconds, and the largest resident size in KiB."""

    cpu: float
    peak_kb: int


Then = Callable[[Used], None]


class Orphans:
    """Joins the ends of engines' processes with those of the orphans they leave.

    engines: the processes that are expected to leave one, with what it used, once that is known.
    """

    def __init__(self) -> None:
        self.engines: dict[int, Used | None] = {}
        self._ends: dict[int, Then] = {}

    def expect(self, pid: int) -> None:
        """Take note of an engine's process, leader of a session."""
        self.engines[pid] = None

    def owner_of(self, pid: int) -> int:
        """Return the engine's process a zombie belongs to, 0 when it is nobody's orphan."""
        session = _session(pid)
        return session if session in self.engines and session != pid else 0

    def reaped(self, engine: int, used: Used) -> None:
        """Take note of what an orphan used; whoever waits for it goes on."""
        self.engines[engine] = used
        self._go_on(engine)

    def engine_ended(self, pid: int, then: Then) -> None:
        """Call then once it is known what the container used: mostly at once."""
        self._ends[pid] = then
        if self.engines[pid] is not None or not _has_orphan(pid):
            self._go_on(pid)
        else:
            asyncio.get_running_loop().call_later(PATIENCE, self._go_on, pid)

    def _go_on(self, engine: int) -> None:
        then = self._ends.pop(engine, None)
        if then is not None:
            used = self.engines.pop(engine)
            then(used or Used(0.0, 0))


def next_zombie() -> int:
    """Return a child that has ended and is still to be reaped, 0 without one."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found is not None else 0


def _has_orphan(session: int) -> bool:
    return any(_session(pid) == session for pid in children_of(os.getpid(), threads=0))


def _session(pid: int) -> int:
    """Return the session of a process, also of one that has ended; 0 when it is gone."""
    try:
        fields = read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[3])
