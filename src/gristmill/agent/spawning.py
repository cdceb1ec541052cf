"""Child processes: one way to start them all, and those that a coroutine waits for."""

import asyncio
import os
import signal
from typing import NamedTuple

_DEFAULT_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
)
"""What the agent or Python ignore or handle must not be inherited."""


class Descriptors(NamedTuple):
    """What a child has as its standard streams."""

    stdin: int
    stdout: int
    stderr: int


def spawn(
    words: list[str],
    env: dict[str, str],
    cwd: str,
    descriptors: Descriptors,
    further: tuple[int, int] | None = None,
) -> int:
    """Start a process in a session of its own and return its id. Raises OSError, ValueError.

    further: one more of our descriptors, and its number in the child.
    """
    actions = [(os.POSIX_SPAWN_DUP2, own, place) for place, own in enumerate(descriptors)]
    if further is not None:
        actions.append((os.POSIX_SPAWN_DUP2, *further))
    os.chdir(cwd)
    try:
        return os.posix_spawnp(
            words[0],
            words,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    finally:
        os.chdir("/")


class Helpers:
    """Processes whose ends are awaited; whoever reaps children tells of them here."""

    def __init__(self) -> None:
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def __contains__(self, pid: object) -> bool:
        return pid in self._waiting

    def start(
        self,
        words: list[str],
        env: dict[str, str],
        cwd: str = "/",
        *,
        stdin: int = -1,
        stdout: int = -1,
        stderr: int = -1,
        third: int = -1,
    ) -> "tuple[int, asyncio.Future[int]]":
        """Start a process; its future gives the exit code. Raises OSError, ValueError."""
        streams = Descriptors(*(self.null if own < 0 else own for own in (stdin, stdout, stderr)))
        pid = spawn(words, env, cwd, streams, None if third < 0 else (third, 3))
        future = asyncio.get_running_loop().create_future()
        self._waiting[pid] = future
        return pid, future

    def ended(self, pid: int, code: int) -> bool:
        """Take note of a child's end; False when it was none of these."""
        future = self._waiting.pop(pid, None)
        if future is None:
            return False
        if not future.done():
            future.set_result(code)
        return True
