"""Ending members: the whole tree, containers included, and only then the report."""

import asyncio
from collections.abc import Callable

from gristmill.agent import killing
from gristmill.agent.census import MemberProcesses
from gristmill.agent.cgroups import NO_GROUP
from gristmill.agent.member import Member
from gristmill.agent.processes import Process, identify
from gristmill.agent.runtimes import Runtimes
from gristmill.agent.usage import Sampler
from gristmill.domain.clock import Chance

GRACE = 5.0
"""Seconds between asking a member to end and forcing it."""


def processes_of(member: Member) -> MemberProcesses:
    """Return the member as the kernel knows it, following it from step to step."""
    main = identify(member.pid) or Process(member.pid, 0)
    if member.processes is None:
        member.processes = MemberProcesses(member.env["GRISTMILL_MEMBER"], main)
    elif member.processes.main.pid != member.pid:
        member.processes.main = main
    return member.processes


class Ending:
    """Ends members one task each; remembers nothing of those that are gone."""

    def __init__(
        self, sampler: Sampler, runtimes: Runtimes, chance: Chance, grace: float = GRACE
    ) -> None:
        self._sampler, self._runtimes = sampler, runtimes
        self._chance, self._grace = chance, grace

    def begin(self, member: Member, then: Callable[[Member], None]) -> None:
        """End everything of a member; call then when nothing of it lives."""
        if member.ending is None:
            member.ending = asyncio.create_task(self._end(member))
            member.ending.add_done_callback(lambda _: then(member))

    async def _end(self, member: Member) -> None:
        ending = killing.end(processes_of(member), self._grace, self._chance)
        watched = member.container
        if watched is None:
            await ending
        else:
            await asyncio.gather(ending, watched.stop(self._grace))
            # The job's last act may have been to ask for it.
            await watched.finish(started=member.first_pid != 0, ended_early=bool(member.cause))
            member.container = None
        await asyncio.to_thread(self._runtimes.cleanup, member)

    def forget(self, member: Member) -> None:
        """Let go of what was kept to look after a member that has ended."""
        processes = member.processes
        if processes is not None:
            self._sampler.forget(processes)
            if processes.group is not NO_GROUP:
                processes.group.remove()
