"""Processes of the agent's own that serve one member without being part of it.

A helper carries a marker that names no member: nobody counts it as one of a job's processes, and
yet it is found as a leftover when the agent has died.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.agent.processes import MARKER_VARIABLE
from gristmill.agent.spawning import Helpers


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


class MemberHelpers:
    """Starts marked helpers. node: of the agent."""

    def __init__(self, node: str, helpers: Helpers) -> None:
        self._node, self._helpers = node, helpers

    def start(
        self,
        serves: str,
        words: list[str],
        variables: Mapping[str, str],
        output: int,
        errors: int = -1,
        cwd: str = "/",
        *,
        stdin: int = -1,
        third: int = -1,
    ) -> Helper:
        """Start a process. serves: the member. output: descriptor for all it says.

        errors: descriptor for what it says on its standard error, if not that one.
        stdin, third: what it has as 0 and as 3, if anything. Raises OSError.
        """
        marked = {**variables, MARKER_VARIABLE: f"{self._node}/helper.{serves}"}
        errors = output if errors < 0 else errors
        return Helper(
            *self._helpers.start(
                words, marked, cwd, stdin=stdin, stdout=output, stderr=errors, third=third
            )
        )
