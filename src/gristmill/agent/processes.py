"""What the kernel's process table says, read cheaply from /proc.

A process id alone names nothing for long; everywhere here a process is its id together with the
tick it started at. A zombie has ended: it is never reported as a living process.
"""

import ctypes
import os
import time
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

MARKER_VARIABLE = "GRISTMILL_MEMBER"
"""Environment variable every task carries: ``<node>/<job>.<attempt>.<rank>``."""

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_PR_SET_CHILD_SUBREAPER = 36
_LEAVING = 0x4
"""The kernel's PF_EXITING."""

_MARKER_PREFIX = MARKER_VARIABLE.encode() + b"="
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_LONGEST_EXEC = 100
"""Milliseconds after which a process that is still between two programs counts as unmarked."""
_CHUNK = 1 << 16
_FILLING_CHUNK = 3072
"""Most of /proc answers fully in one read well under a page; more means: read on."""


class Process(NamedTuple):
    """A process beyond doubt: its id and the clock tick after boot at which it started."""

    pid: int
    start: int


class Stat(NamedTuple):
    """One line of the process table.

    leaving: it is on its way out, and may have lost its environment before its children.
    cpu_ticks: own and of children it has waited for. resident_pages: of memory held now.
    """

    process: Process
    state: str
    leaving: bool
    parent: int
    group: int
    session: int
    threads: int
    cpu_ticks: int
    resident_pages: int


def read_stat(pid: int) -> Stat | None:
    """Read the table's line of a process; None when it has ended or cannot be seen."""
    try:
        text = read_file(f"/proc/{pid}/stat")
    except _GONE:
        return None
    # The name may hold blanks and parentheses; all that follows its last one is plain.
    fields = text[text.rindex(b")") + 2 :].split()
    state, threads = fields[0].decode(), int(fields[17])
    # A process whose first thread has left stands as Z while its other threads live on.
    if state == "X" or (state == "Z" and threads <= 1):
        return None
    return Stat(
        process=Process(pid, int(fields[19])),
        state=state,
        leaving=bool(int(fields[6]) & _LEAVING),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        threads=threads,
        cpu_ticks=sum(map(int, fields[11:15])),
        resident_pages=int(fields[21]),
    )


def process_start(pid: int) -> int | None:
    """Tick after boot at which a living process started; None when there is none."""
    stat = read_stat(pid)
    return None if stat is None else stat.process.start


def is_alive(process: Process) -> bool:
    """Whether this very process still runs, and not a later one with its id."""
    return process_start(process.pid) == process.start


def identify(pid: int) -> Process | None:
    """Name the living process that has this id now."""
    stat = read_stat(pid)
    return None if stat is None else stat.process


def all_pids() -> list[int]:
    """Ids of all processes this one may see, zombies included."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class ProcessTable(NamedTuple):
    """Every living process of the machine at one look, by id, and the ids of its children."""

    stats: dict[int, Stat]
    children: dict[int, list[int]]


def read_table() -> ProcessTable:
    """Read the whole process table; costs about 10 µs a process."""
    found = [stat for stat in map(read_stat, all_pids()) if stat is not None]
    return ProcessTable({stat.process.pid: stat for stat in found}, children_map(found))


def children_map(stats: Iterable[Stat]) -> dict[int, list[int]]:
    """Group ids by their parent's id."""
    children: dict[int, list[int]] = {}
    for stat in stats:
        children.setdefault(stat.parent, []).append(stat.process.pid)
    return children


def children_of(pid: int, threads: int = 1) -> list[int]:
    """Ids of a process's children, straight from the kernel.

    The kernel may leave one out while others end; what must be sure uses the process table.
    threads: how many the process has; each has children of its own.
    """
    if not _HAS_CHILDREN_FILES:
        return read_table().children.get(pid, [])
    found: list[int] = []
    try:
        tasks = [str(pid)] if threads == 1 else os.listdir(f"/proc/{pid}/task")
    except _GONE:
        return found
    for task in tasks:
        try:
            found += map(int, read_file(f"/proc/{pid}/task/{task}/children").split())
        except _GONE:
            continue
    return found


def own_children() -> list[int]:
    """Ids of this process's children, orphans it has inherited and zombies included."""
    return children_of(os.getpid(), threads=0)


def descendants(pid: int, table: ProcessTable | None = None) -> Iterator[Stat]:
    """Walk the living processes below pid, parents before their children.

    table: where to walk; without one, the kernel's lists of children are followed.
    """
    look = read_stat if table is None else table.stats.get
    top = look(pid)
    waiting = [] if top is None else _children(top, table)
    seen = {pid}
    # The list grows while it is walked.
    for child in waiting:
        stat = None if child in seen else look(child)
        seen.add(child)
        if stat is not None:
            yield stat
            waiting += _children(stat, table)


def _children(stat: Stat, table: ProcessTable | None) -> list[int]:
    if table is None:
        return children_of(stat.process.pid, stat.threads)
    return list(table.children.get(stat.process.pid, ()))


def session_members(session: int, table: ProcessTable) -> list[Stat]:
    """List one session; its number is not used again while any of them lives."""
    return [stat for stat in table.stats.values() if stat.session == session]


def environ_variables(pid: int) -> list[bytes]:
    """Return the variables a process was started with; none without the right to look."""
    try:
        environment = read_file(f"/proc/{pid}/environ") or _awaited_environment(pid)
        return environment.split(b"\0")
    except _GONE:
        return []


def environ_marker(pid: int) -> str | None:
    """Return the member a process was started for; None without a marker or the right to look."""
    for variable in environ_variables(pid):
        if variable.startswith(_MARKER_PREFIX):
            return variable[len(_MARKER_PREFIX) :].decode(errors="replace")
    return None


def _awaited_environment(pid: int) -> bytes:
    """Read the environment of a process that may be just between two programs, showing none.

    A living program has a command line even where it was given no environment; a zombie and a
    thread of the kernel have neither, but no program either. Raises OSError for these.
    """
    for _ in range(_LONGEST_EXEC):
        if read_file(f"/proc/{pid}/cmdline") or not os.readlink(f"/proc/{pid}/exe"):
            break
        time.sleep(0.001)
    return read_file(f"/proc/{pid}/environ")


def control_groups(pid: int) -> list[str]:
    """Return the paths of the cgroups a process is in, one for each hierarchy."""
    try:
        lines = read_file(f"/proc/{pid}/cgroup").decode(errors="replace").splitlines()
    except _GONE:
        return []
    return [line.split(":", 2)[2] for line in lines]


def is_namespace_init(pid: int) -> bool:
    """Whether a process is the first of a container's own process namespace."""
    try:
        status = read_file(f"/proc/{pid}/status")
    except _GONE:
        return False
    for line in status.splitlines():
        if line.startswith(b"NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == b"1"
    return False


def boot_id() -> str:
    """Return the id of the machine's current boot; process ids mean nothing across two."""
    return read_file("/proc/sys/kernel/random/boot_id").decode().strip()


def set_subreaper(*, on: bool = True) -> None:
    """Make this process the parent of every orphan among its descendants, or no longer.

    Raises OSError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot become child subreaper: {os.strerror(number)}")


def read_file(path: str) -> bytes:
    """Read a small kernel file whole, without the cost of a file object. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunk = os.read(descriptor, _CHUNK)
        if len(chunk) < _FILLING_CHUNK:
            return chunk
        parts = [chunk]
        while chunk := os.read(descriptor, _CHUNK):
            parts.append(chunk)
        return b"".join(parts)
    finally:
        os.close(descriptor)


_HAS_CHILDREN_FILES = os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


class OwnChildren:
    """A quick look at this process's children, for a thread that spawns all of them.

    The kernel gives orphans to the first thread too. Make it in that thread.
    """

    def __init__(self) -> None:
        path = f"/proc/self/task/{os.getpid()}/children"
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if _HAS_CHILDREN_FILES else -1

    def issubset(self, known: Container[int]) -> bool:
        """Whether there is no child but known ones."""
        if self._descriptor < 0:
            return all(child in known for child in own_children())
        listed = os.pread(self._descriptor, 1 << 16, 0)
        return all(int(child) in known for child in listed.split())
