"""A task's output written to a file of the job as well, while it is written."""

import asyncio
import contextlib
import os
from typing import NamedTuple

from gristmill.agent.spawning import Helpers
from gristmill.domain.errors import InvalidInputError

PATIENCE = 5.0
"""Seconds for the rest to be written after the task's end; what it left running may hold on."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Tees(NamedTuple):
    """The write ends a task gets, and the two helpers behind them."""

    stdout: int
    stderr: int
    done: "tuple[asyncio.Future[int], asyncio.Future[int]]"

    def close(self) -> None:
        """Let go of the write ends, once the task has them."""
        os.close(self.stdout)
        os.close(self.stderr)

    async def finish(self) -> None:
        """Return when everything is written."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*map(asyncio.shield, self.done))


def start_tees(helpers: Helpers, path: str, env: dict[str, str], stdout: int, stderr: int) -> Tees:
    """Copy what comes to the two streams, and both in the order they come to the file.

    Raises OSError, InvalidInputError when path cannot be written.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path):
        raise InvalidInputError(f"{path} is a folder")
    file = os.open(path, _FLAGS, 0o644)
    try:
        ends = [_start(helpers, env, target, file) for target in (stdout, stderr)]
    finally:
        os.close(file)
    return Tees(ends[0][0], ends[1][0], (ends[0][1], ends[1][1]))


def _start(
    helpers: Helpers, env: dict[str, str], target: int, file: int
) -> "tuple[int, asyncio.Future[int]]":
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        # The descriptor is opened anew by this name, and with the flag so again for appending.
        words = ["/usr/bin/tee", "-a", "/dev/fd/3"]
        _, done = helpers.start(words, env, stdin=read, stdout=target, third=file)
    except BaseException:
        os.close(write)
        raise
    finally:
        os.close(read)
    return write, done
