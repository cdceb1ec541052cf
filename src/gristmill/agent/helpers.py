"""Processes of the agent's own, which serve a member without being part of it.

The runner reaps every child of the agent, so it is told here which of them are helpers. A helper
carries a marker that names no member: nobody counts it as one of a job's processes, and yet it is
found as a leftover when the agent has died.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.agent.processes import MARKER_VARIABLE

DEFAULT_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
)
"""What the agent or Python ignore or handle must not be inherited."""


@dataclass(eq=False)
class Helper:
    """ended: its exit code, negative for a signal, once it is reaped."""

    pid: int
    ended: "asyncio.Future[int]"

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        if not self.ended.done():
            # Not reaped yet, so the id cannot be another process's.
            os.kill(self.pid, number)


class Helpers:
    """Starts helpers, and hears from the runner when they end. node: of the agent."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._running: dict[int, Helper] = {}
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def start(
        self, serves: str, words: list[str], variables: Mapping[str, str], output: int
    ) -> Helper:
        """Start a process. serves: the member. output: descriptor for all it says.

        Raises OSError.
        """
        pid = os.posix_spawnp(
            words[0],
            words,
            {**variables, MARKER_VARIABLE: f"{self._node}/helper.{serves}"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self._null, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=DEFAULT_SIGNALS,
        )
        helper = Helper(pid, asyncio.get_running_loop().create_future())
        self._running[pid] = helper
        return helper

    def reaped(self, pid: int, exit_code: int) -> None:
        """Take note that a child of the agent has ended, which may be a helper."""
        helper = self._running.pop(pid, None)
        if helper is not None and not helper.ended.done():
            helper.ended.set_result(exit_code)
