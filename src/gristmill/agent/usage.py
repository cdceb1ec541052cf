"""What running members use: memory now and at most, CPU time, processes."""

import resource
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gristmill.agent.census import MemberProcesses, take_census
from gristmill.agent.processes import (
    PAGE_SIZE,
    TICKS_A_SECOND,
    Process,
    Stat,
    read_file,
)
from gristmill.domain.clock import Chance

USUAL_PAUSE = 1.0
MOST_SHARE = 0.02
"""Share of one core that sampling may take; it slows down rather than take more."""

MOST_ASKED = 8
"""Processes of a member whose own peaks are asked for, parents before children."""

_MB = 1 << 20


class Usage(NamedTuple):
    """One member's use.

    memory_mb: held by the tree at the last sample; shared pages count once where the kernel
    tells (PSS), else once a process (RSS). cpu_seconds: of the tree so far. processes: living.
    """

    memory_mb: float
    peak_memory_mb: float
    cpu_seconds: float
    processes: int


class _Record:
    def __init__(self) -> None:
        self.memory = 0
        self.peak = 0
        self.cpu_ticks = 0
        self.living: dict[Process, Stat] = {}
        self.ended_ticks = 0
        self.next_exact_look = 0.0


class Sampler:
    """Measures members and remembers their peaks until they are forgotten.

    pause: seconds to wait before the next sample. spent: seconds of CPU time taken so far; on a
    busy machine that is far less than what passes meanwhile.
    """

    def __init__(self, chance: Chance, spent: Callable[[], float] = time.thread_time) -> None:
        self._monotonic, self._spent = chance.monotonic, spent
        self._records: dict[str, _Record] = {}
        self.pause = USUAL_PAUSE

    def sample(self, members: Sequence[MemberProcesses]) -> dict[str, Usage]:
        """Measure these members now; usage by marker."""
        before = self._spent()
        census = take_census(members)
        for member in members:
            record = self._records.setdefault(member.marker, _Record())
            stats = census.members[member.marker]
            self._count_cpu(record, stats)
            self._weigh(record, stats)
        self.pause = max(USUAL_PAUSE, (self._spent() - before) / MOST_SHARE)
        return {member.marker: self.usage(member) for member in members}

    def usage(self, member: MemberProcesses) -> Usage:
        """Return what the last sample found, and the peak of all; zeros before the first."""
        record = self._records.get(member.marker) or _Record()
        ticks = record.cpu_ticks / TICKS_A_SECOND
        return Usage(
            memory_mb=record.memory / _MB,
            peak_memory_mb=record.peak / _MB,
            cpu_seconds=max(ticks, member.group.cpu_seconds() or 0.0),
            processes=len(record.living),
        )

    def over_memory(self, member: MemberProcesses, limit_mb: int) -> bool:
        """Whether the tree held more than limit_mb at the last sample, or the kernel says so."""
        return self.usage(member).memory_mb > limit_mb or member.group.out_of_memory()

    def forget(self, member: MemberProcesses) -> None:
        """Drop what is remembered of a member that has ended."""
        self._records.pop(member.marker, None)

    def _count_cpu(self, record: _Record, stats: list[Stat]) -> None:
        now = {stat.process: stat for stat in stats}
        parents = {stat.process.pid for stat in record.living.values()}
        for process, last in record.living.items():
            # One that a parent inside the tree waits for goes on in that parent's account.
            if process not in now and last.parent not in parents:
                record.ended_ticks += last.cpu_ticks
        record.living = now
        ticks = record.ended_ticks + sum(stat.cpu_ticks for stat in stats)
        record.cpu_ticks = max(record.cpu_ticks, ticks)

    def _weigh(self, record: _Record, stats: list[Stat]) -> None:
        resident = sum(stat.resident_pages for stat in stats) * PAGE_SIZE
        # Shared pages make the exact figure smaller, never larger: it is only worth its price
        # where it could be a new peak, and where there is somebody to share with.
        if len(stats) > 1 and resident > record.peak:
            if self._monotonic() < record.next_exact_look:
                return
            before = self._spent()
            resident = sum(proportional(stat) for stat in stats)
            cost = self._spent() - before
            record.next_exact_look = self._monotonic() + cost / MOST_SHARE
        record.memory = resident
        # Of each process the kernel knows the peak between two looks too.
        peaks = (_high_water(stat.process.pid) for stat in stats[:MOST_ASKED])
        record.peak = max(record.peak, resident, *peaks)


def _high_water(pid: int) -> int:
    """Bytes that a process has held at most since it became its command; 0 if not known."""
    try:
        status = read_file(f"/proc/{pid}/status")
    except OSError:
        return 0
    _, found, rest = status.partition(b"VmHWM:")
    return int(rest.split(None, 1)[0]) * 1024 if found else 0


def proportional(stat: Stat) -> int:
    """Return the bytes a process holds, each shared page divided by its holders.

    RSS where that is not permitted.
    """
    try:
        rollup = read_file(f"/proc/{stat.process.pid}/smaps_rollup")
    except OSError:
        return stat.resident_pages * PAGE_SIZE
    for line in rollup.splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return stat.resident_pages * PAGE_SIZE


def true_peak(peak_kb: int) -> int:
    """Return the peak of a child, 0 where the kernel's figure says nothing.

    The kernel counts what the child was before it became the command: a copy of this agent.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_kb if peak_kb > own else 0
