"""Real process trees for tests, and a household that plays the agent to them."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from gristmill.agent.census import MemberProcesses
from gristmill.agent.processes import (
    MARKER_VARIABLE,
    Process,
    Stat,
    all_pids,
    descendants,
    identify,
    own_children,
    read_file,
    set_subreaper,
)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STUBBORN = "trap '' TERM HUP INT;"


class Household:
    """Inherits orphans as the agent does, spawns members, and leaves nothing behind."""

    def __init__(self, node: str = "") -> None:
        self.node = node or f"test-{os.getpid()}"
        self._number = 0
        self._earlier: set[int] = set()

    def __enter__(self) -> Self:
        self._earlier = set(own_children())
        set_subreaper()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while living := [stat for stat in descendants(os.getpid()) if self._is_new(stat.process)]:
            for stat in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stat.process.pid, signal.SIGKILL)
            self.reap()
        ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
        self.reap()

    def _is_new(self, process: Process) -> bool:
        return process.pid not in self._earlier

    def new(self, stats: Iterable[Stat]) -> list[Stat]:
        """Return those that are not children this process had before, of other tests say."""
        return [stat for stat in stats if self._is_new(stat.process)]

    def reap(self) -> None:
        """Collect every zombie that is not somebody else's."""
        for pid in set(own_children()) - self._earlier:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def marker(self) -> str:
        self._number += 1
        return f"{self.node}/{self._number}.1.0"

    def spawn(self, script: str, *, wait_for: int = 1, python: bool = False) -> MemberProcesses:
        """Start a member running a shell (or Python) script, and wait until it said so.

        wait_for: lines the tree writes to its standard output when it stands.
        """
        marker = self.marker()
        reader, writer = os.pipe()
        argv = [sys.executable, "-SEc", script] if python else ["/bin/sh", "-c", script]
        pid = os.posix_spawn(
            argv[0],
            argv,
            {"PATH": PATH, MARKER_VARIABLE: marker},
            file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)],
            setsid=True,
        )
        os.close(writer)
        read_lines(reader, wait_for)
        os.close(reader)
        main = identify(pid)
        return MemberProcesses(marker, main or Process(pid, 0))


def read_lines(descriptor: int, count: int) -> list[str]:
    """Read this many lines from a pipe, or all there are."""
    text = b""
    while text.count(b"\n") < count:
        chunk = os.read(descriptor, 4096)
        if not chunk:
            break
        text += chunk
    return text.decode().splitlines()


def await_that(condition: Callable[[], object], what: str, limit: float = 20.0) -> None:
    """Look again every few milliseconds until condition holds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.002)


def living_with(word: str) -> list[Process]:
    """Living processes whose command line holds a word that the test made up."""
    found = []
    for pid in all_pids():
        process = identify(pid)
        if process is None or pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if word.encode() in read_file(f"/proc/{pid}/cmdline"):
                found.append(process)
    return found
