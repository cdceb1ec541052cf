"""Ending process trees: asking first, then making sure.

Nobody is waited for with waitpid here: whoever spawned or inherited a process reaps it, and a
zombie counts as gone.
"""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Awaitable, Callable, Iterable

from gristmill.agent.census import MemberProcesses, members_of
from gristmill.agent.processes import Process, Stat, is_alive, is_namespace_init, read_stat
from gristmill.domain.clock import Chance

SHORTEST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Seconds between two looks at a tree that is ending; they double in between."""

_STOPPING_ROUNDS = 50
_NO_DESCRIPTORS = (errno.ENOSYS, errno.EPERM)
"""How kernels before 5.3, and some containers, refuse descriptors of processes."""


def send(process: Process, signal_number: int) -> bool:
    """Signal this very process, never a later one with its id, and never the caller.

    False when it is not permitted; a process that has ended is a success.
    """
    if process.pid in (0, 1, os.getpid()):
        return False
    try:
        _send(process, signal_number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _send(process: Process, signal_number: int) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno not in _NO_DESCRIPTORS:
            raise
        if is_alive(process):
            os.kill(process.pid, signal_number)
        return
    try:
        # From here on the descriptor means one process, so a look at its start is final.
        if is_alive(process):
            signal.pidfd_send_signal(descriptor, signal_number)
    finally:
        os.close(descriptor)


def stop_and_kill(find: Callable[[], Iterable[Stat]]) -> set[Process]:
    """Kill a tree that may be forking: stop all of it first, and kill once nobody new appears.

    find: the tree's living processes now; each is stopped before the next is asked for.
    Returns those that may not be signalled.
    """
    stopped: set[Process] = set()
    refused: set[Process] = set()
    for _ in range(_STOPPING_ROUNDS):
        before = len(stopped)
        for stat in find():
            if stat.process not in stopped:
                _stop_group(stat.process)
                if not send(stat.process, signal.SIGSTOP):
                    refused.add(stat.process)
                stopped.add(stat.process)
        if len(stopped) == before:
            break
    for stat in find():
        if not send(stat.process, signal.SIGKILL):
            refused.add(stat.process)
    return refused


def _stop_group(process: Process) -> None:
    """Stop a whole process group at one stroke, which reaches forks no look has seen yet.

    A group never reaches beyond its session, and the session of a member's process began in
    that member.
    """
    now = read_stat(process.pid)
    if now is None or now.process != process or now.session in (0, os.getsid(0)):
        return
    if now.group not in (0, 1, os.getpgrp()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(now.group, signal.SIGSTOP)


async def end(
    member: MemberProcesses,
    grace: float,
    chance: Chance,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[Process, ...]:
    """End every process of a member; return when none lives.

    grace: seconds between asking (TERM) and forcing (KILL); 0 forces at once.
    Returns the processes that are left because this user may not signal them, mostly none.
    """
    if grace > 0:
        ask_to_stop(members_of(member))
        deadline = chance.monotonic() + grace
        for pause in _pauses():
            if not _living(member):
                return ()
            left = deadline - chance.monotonic()
            if left <= 0:
                break
            await sleep(min(pause, left))
    return await _force(member, sleep)


async def _force(
    member: MemberProcesses, sleep: Callable[[float], Awaitable[None]]
) -> tuple[Process, ...]:
    for pause in _pauses():
        living = _living(member)
        if not living:
            break
        member.group.kill()
        refused = stop_and_kill(lambda: members_of(member))
        if refused and refused.issuperset(stat.process for stat in _living(member)):
            return tuple(sorted(process for process in refused if is_alive(process)))
        await sleep(pause)
    return ()


def _living(member: MemberProcesses) -> list[Stat]:
    return members_of(member, thorough=True)


def ask_to_stop(stats: list[Stat]) -> None:
    """Send TERM to a whole tree once, parents first, so that no shell goes on to its next line.

    Whoever was stopped is woken to hear it. The process that started a container is spared: it
    ends with the container, and ending it first would take the container's processes down
    without a chance to clean up.
    """
    inits = {stat.process.pid for stat in stats if is_namespace_init(stat.process.pid)}
    starters = {stat.parent for stat in stats if stat.process.pid in inits}
    for stat in stats:
        if stat.process.pid not in starters:
            send(stat.process, signal.SIGTERM)
            send(stat.process, signal.SIGCONT)


def _pauses() -> Iterable[float]:
    pause = SHORTEST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)
