"""What is still to be done for members whose agent died while they ran: their hooks."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping

import structlog

from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.journal import Begun
from gristmill.agent.workspace import prune

PATIENCE = 600.0
"""Seconds that the hooks of one member may take."""

AT_ONCE = 4
"""Members that are attended to at a time."""

log = structlog.get_logger()


class Afterlife:
    """Runs the hooks that follow a failure, without anything of the job's own environment.

    waiting: the members, removed one by one. done: told of each, whatever its hooks did.
    """

    def __init__(
        self,
        waiting: list[Begun],
        helpers: MemberHelpers,
        variables: Mapping[str, str],
        done: Callable[[Begun], None],
    ) -> None:
        self._waiting, self._helpers, self._variables = waiting, helpers, variables
        self._done = done
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Return when nobody waits any more."""
        await asyncio.gather(*map(self._attend, list(self._waiting)))

    async def _attend(self, member: Begun) -> None:
        async with self._turn:
            try:
                async with asyncio.timeout(PATIENCE):
                    for words in member.commands:
                        await self._do(member, list(words))
            except TimeoutError:
                log.warning("hook.endless", job=member.job)
            _prune(member)
            self._waiting.remove(member)
            self._done(member)

    async def _do(self, member: Begun, words: list[str]) -> None:
        serves = f"{member.job}.{member.attempt}.{member.rank}"
        try:
            helper = self._helpers.start(serves, words, self._variables, -1, cwd=_place(member))
        except (OSError, ValueError) as error:
            log.info("hook.failed", job=member.job, error=str(error))
            return
        try:
            await asyncio.shield(helper.ended)
        finally:
            if not helper.ended.done():
                os.killpg(helper.pid, signal.SIGKILL)


def _place(member: Begun) -> str:
    return member.cwd if os.path.isdir(member.cwd) else "/"


def _prune(member: Begun) -> None:
    """Remove the folders that a cleanup has left empty."""
    if member.root and not os.path.lexists(member.root):
        prune(member.root, member.top)
