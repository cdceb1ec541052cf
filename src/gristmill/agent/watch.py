"""Looking after members that live longer than a moment: usage, memory, wall time."""

import asyncio
import contextlib
from collections.abc import Callable

from gristmill.agent.census import MemberProcesses, members_of
from gristmill.agent.cgroups import Cgroups
from gristmill.agent.ending import processes_of
from gristmill.agent.goals import says_done
from gristmill.agent.member import Member
from gristmill.agent.node import is_volume_full, share_of_memory_used
from gristmill.agent.pulse import Pulses
from gristmill.agent.runner import Runner
from gristmill.agent.usage import Sampler
from gristmill.domain.clock import Chance
from gristmill.domain.job import MPI_KINDS
from gristmill.domain.outcome import DISK_FULL, OVER_MEMORY, OVER_WALLTIME, TOO_MUCH_OUTPUT

MB = 1 << 20
SCARCE = 0.9
"""Share of the node's memory in use from which it counts as short of it."""

YOUNG = 0.1
"""Seconds a member lives before anything is spent on looking after it."""


class Watch:
    """A tick while something runs; nothing at all while nothing does."""

    def __init__(
        self,
        runner: Runner,
        cgroups: Cgroups,
        sampler: Sampler,
        chance: Chance,
        output_limit: int,
        pulses: Pulses,
        memory_used: Callable[[], float] = share_of_memory_used,
    ) -> None:
        self._runner, self._cgroups, self._sampler = runner, cgroups, sampler
        self._chance = chance
        self._output_limit = output_limit * MB
        self._pulses = pulses
        self._memory_used = memory_used
        self._next_sample = 0.0

    async def run(self) -> None:
        """Look after members until cancelled."""
        while True:
            await self._runner.busy.wait()
            await self._rest(self.tick())

    async def _rest(self, seconds: float) -> None:
        """Sleep, but not past the moment from which a step that begins meanwhile is due."""
        until = self._chance.monotonic() + seconds
        if seconds > YOUNG:
            self._runner.begun.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._runner.begun.wait()
        await asyncio.sleep(min(YOUNG, max(0.0, until - self._chance.monotonic())))

    def tick(self) -> float:
        """Do what is due; return the seconds until something can be due again."""
        now = self._chance.monotonic()
        running = [member for member in self._runner.running.values() if member.pid]
        for member in running:
            if member.watched != member.pid and _is_due(member, now):
                self._look_after(member)
        known = [member for member in running if member.processes is not None]
        if now >= self._next_sample:
            self._sample(known)
            self._end_talkative(running)
            self._notice_goals(running)
            self._runner.give_back_stale()
            self._next_sample = now + self._sampler.pause
        else:
            self._measure([member for member in known if now >= member.look_at])
        self._end_overdue(running, now)
        return self._pause(running, now)

    def _look_after(self, member: Member) -> None:
        """Take the current step's processes in; each step begins outside the member's group."""
        processes = processes_of(member)
        if not member.watched:
            job, attempt, rank = member.key
            processes.group = self._cgroups.create(f"{job}.{attempt}.{rank}", memory_limit(member))
        if member.container is None or not member.watched:
            # A container that an earlier step has started has cgroups of its service's making.
            processes.group.adopt(lambda: [stat.process.pid for stat in members_of(processes)])
        member.watched = member.pid

    def _measure(self, members: list[Member]) -> list[tuple[Member, MemberProcesses]]:
        """Note what members use; who is young is looked at again at twice the age.

        So what is known of a short one is never from the first half of its life alone.
        """
        now = self._chance.monotonic()
        known = [(member, processes_of(member)) for member in members]
        if known:
            self._sampler.sample([processes for _, processes in known])
        for member, processes in known:
            member.look_at = now + max(YOUNG, now - member.step_began)
            usage = self._sampler.usage(processes)
            member.sampled_kb = max(member.sampled_kb, int(usage.peak_memory_mb * 1024))
            member.sampled_cpu = usage.cpu_seconds
        return known

    def _sample(self, members: list[Member]) -> None:
        known = self._measure(members)
        for member, processes in known:
            if member.spec.usage_sources and self._pulses.sample(member, processes):
                self._runner.changed()
            limit = memory_limit(member)
            if limit is not None and self._sampler.over_memory(processes, limit):
                self._end_over_memory(member, self._sampler.usage(processes).memory_mb)
        self._relieve([(member, self._sampler.usage(each).memory_mb) for member, each in known])
        self._end_without_room(members)
        self._pulses.keep_only({processes.marker for _, processes in known})

    def _end_over_memory(self, member: Member, held: float) -> None:
        wanted = member.need.memory
        member.message = f"used {held:.0f} MB of the {wanted} MB asked for"
        self._runner.kill(member.key, OVER_MEMORY)

    def _relieve(self, members: list[tuple[Member, float]]) -> None:
        """When the node is short of memory, end whoever holds most beyond what it asked for."""
        beyond = {
            member.key: held - member.need.memory
            for member, held in members
            if member.spec.kill_over_memory == "when_scarce"
            and held > member.need.memory
            and not member.cause
        }
        if not beyond or self._memory_used() < SCARCE:
            return
        # One at a time: its end may be relief enough, which the next sample will tell.
        worst = max(beyond, key=lambda key: beyond[key])
        for member, held in members:
            if member.key == worst:
                self._end_over_memory(member, held)

    def _end_without_room(self, members: list[Member]) -> None:
        """End members whose own folder lies on a volume that is full."""
        full: dict[int, bool] = {}
        for member in members:
            if member.workspace is None or member.cause:
                continue
            device = member.workspace.device
            if device not in full:
                full[device] = is_volume_full(member.workspace.root)
            if full[device]:
                member.message = f"no room is left for {member.workspace.root}"
                self._runner.kill(member.key, DISK_FULL)

    def _notice_goals(self, members: list[Member]) -> None:
        for member in members:
            if member.spec.goal is not None and member.goal_at is None and says_done(member):
                self._runner.reach_goal(member)

    def _end_talkative(self, members: list[Member]) -> None:
        for member in members:
            slot = member.slot
            if slot is not None and slot.stdout.size() + slot.stderr.size() > self._output_limit:
                member.message = f"wrote more than {self._output_limit // MB} MB of output"
                self._runner.kill(member.key, TOO_MUCH_OUTPUT)

    def _end_overdue(self, members: list[Member], now: float) -> None:
        for member in members:
            limit = member.spec.resources.walltime
            if limit is not None and _counts(member) and _ran(member, now) >= limit:
                member.message = f"ran longer than {limit:g} s"
                self._runner.kill(member.key, OVER_WALLTIME)

    def _pause(self, members: list[Member], now: float) -> float:
        pause = max(0.0, self._next_sample - now)
        for member in members:
            if member.watched != member.pid:
                pause = min(pause, YOUNG)
            elif member.processes is not None:
                pause = min(pause, max(0.0, member.look_at - now))
            limit = member.spec.resources.walltime
            if limit is not None and not member.cause and _counts(member):
                pause = min(pause, max(0.0, limit - _ran(member, now)))
        return max(pause, 0.01)


def _is_due(member: Member, now: float) -> bool:
    """Whether its step has lived for a moment; what moves its files is not looked after."""
    return member.stage is None and now - member.step_began >= YOUNG


def _counts(member: Member) -> bool:
    """Whether the member's time is that of its tasks."""
    return member.stage is None and (member.sandbox is None or not member.sandbox.closed)


def _ran(member: Member, now: float) -> float:
    return now - member.began - member.excused


def memory_limit(member: Member) -> int | None:
    """Return the megabytes at which the member is ended, if it is to be."""
    spec, gang = member.spec, member.lease.gang
    wanted = spec.resources.memory
    if spec.resources.memory_per_cpu is not None:
        wanted = member.need.memory
    if gang is not None and any(task.kind in MPI_KINDS for task in spec.tasks):
        # The processes of all nodes that are on this machine run under the first one.
        wanted *= gang.hosts.count(gang.hosts[member.lease.rank])
    return wanted if spec.kill_over_memory is True and wanted > 0 else None
