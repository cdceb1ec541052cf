"""The agent's heart: starts members, reaps their processes, turns ends into results.

Everything happens on one thread. A member of a short job passes through start and one reap;
looking after longer ones is the watch's business.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
import structlog

from gristmill.agent.aftermath import begun, last_steps, leaves_lessons, measure_disk
from gristmill.agent.census import members_of
from gristmill.agent.ending import Ending, processes_of
from gristmill.agent.entrance import NO_ROOM, Entrance
from gristmill.agent.journal import Journal
from gristmill.agent.member import Key, Member
from gristmill.agent.mounts import Mounts
from gristmill.agent.network.networks import Networks
from gristmill.agent.node import is_volume_full
from gristmill.agent.orphans import Orphans, Used, next_zombie
from gristmill.agent.processes import OwnChildren
from gristmill.agent.results import finished
from gristmill.agent.runtimes import CannotRunError, Runtimes
from gristmill.agent.sandbox import FailedError, Sandbox, dress
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.scripts import SCRIPT_DESCRIPTOR, open_script
from gristmill.agent.slots import Keep, Scratch, Slots
from gristmill.agent.spawning import Descriptors, Helpers, spawn
from gristmill.agent.steps import Step, environment, first_only, resolve_home, task_steps
from gristmill.agent.tee import start_tees
from gristmill.agent.usage import true_peak
from gristmill.agent.waitlist import Waitlist
from gristmill.agent.watched_containers import WatchedContainers
from gristmill.agent.workspace import prune
from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, tasks_of
from gristmill.domain.outcome import (
    CANCELLED_BY_USER,
    COULD_NOT_START,
    GOAL_REACHED,
    LOST,
    MOUNT_FAILED,
    OVER_MEMORY,
    TaskResult,
)
from gristmill.domain.resources import Capacity, need_of
from gristmill.protocol.messages import Finished, Held, Lease, Stream

DISK_PAUSE = 1.0
"""Seconds after which a member that found no room on the disk tries to begin again."""

_decode_spec = msgspec.msgpack.Decoder(JobSpec).decode

log = structlog.get_logger()

_CHILD_ENDED = frozenset({signal.SIGCHLD})

BURST = 0.02
"""Seconds the event loop waits at most while short jobs stream through."""


class Runner:
    """Members waiting, running and ended on this agent.

    on_change: called after anything worth reporting happened. bystanders: children of this
    process that belong to no member.
    """

    def __init__(
        self,
        *,
        node: str,
        instance: str,
        capacity: Capacity,
        base_environment: dict[str, str],
        slots: Slots,
        scratch: Scratch,
        journal: Journal,
        runtimes: Runtimes,
        mounts: Mounts,
        ending: Ending,
        chance: Chance,
        outputs: str,
        keep: Keep,
        helpers: Helpers,
        sandboxes: Sandboxes,
        containers: WatchedContainers,
        networks: Networks,
        on_change: Callable[[], None],
    ) -> None:
        self.node, self.instance = node, instance
        self.capacity, self.free = capacity, capacity.copy()
        self.server_url = ""
        self.busy = asyncio.Event()
        self.begun = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.waitlist = Waitlist()
        self.running: dict[Key, Member] = {}
        self.untold: set[Key] = set()
        self.finished: list[Finished] = []
        self.returned: list[Held] = []
        self.goals: list[Held] = []
        self._by_pid: dict[int, Member] = {}
        self.bystanders: set[int] = set()
        self._filling = False
        self._base, self._slots, self._scratch = base_environment, slots, scratch
        self._journal, self._runtimes, self._ending = journal, runtimes, ending
        self._mounts = mounts
        self._chance, self.changed = chance, on_change
        self._outputs, self._keep = outputs, keep
        self._helpers, self._sandboxes, self._containers = helpers, sandboxes, containers
        self._networks = networks
        self._entrance = Entrance(scratch, sandboxes, chance)
        self._sidecars: dict[int, Member] = {}
        self._orphans = Orphans()
        self._gpus = list(range(capacity.gpus))
        self._children = OwnChildren()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def accept(self, leases: Iterable[Lease]) -> None:
        """Take leases; start what fits."""
        for lease in leases:
            key = (lease.job, lease.attempt, lease.rank)
            if key not in self.running:
                spec = self._runtimes.fitted(_decode_spec(lease.spec), lease.gang)
                need = lease.need or need_of(spec.resources)
                self.waitlist.add(Member(lease, spec, need, self._chance.monotonic()))
        self.fill()

    def fill(self) -> None:
        """Start waiting members while there is room."""
        if self._filling:
            return
        self._filling = True
        try:
            while (member := self.waitlist.next_fitting(self.free)) is not None:
                self._begin(member)
        finally:
            self._filling = False

    def held(self) -> list[Held]:
        """Return every member that waits or runs."""
        return [member.held for member in (*self.waitlist, *self.running.values())]

    def ended(self) -> list[Held]:
        """Return every member of which the result is still to be reported."""
        return [Held(end.job, end.attempt, end.rank) for end in self.finished]

    def kill_all(self, cause: str) -> None:
        """End every member."""
        for member in [*self.waitlist, *self.running.values()]:
            self.kill(member.key, cause)

    def give_back_stale(self) -> None:
        """Return members that were to start in a moment and did not."""
        stale = self.waitlist.take_stale(self._chance.monotonic())
        if stale:
            self.returned.extend(member.held for member in stale)
            self.changed()

    def give_back(self) -> None:
        """Return to the server what has not begun."""
        self.returned.extend(member.held for member in self.waitlist)
        self.waitlist = Waitlist()
        self.changed()

    def kill(self, key: Key, cause: str = CANCELLED_BY_USER) -> None:
        """End a member, all of it, and report cause as the reason."""
        waiting = self.waitlist.remove(key)
        if waiting is not None:
            waiting.cause = cause
            self._report(waiting)
            return
        member = self.running.get(key)
        if member is None:
            return
        if not member.cause:
            member.cause = cause
            member.steps.clear()
            if member.stage is not None:
                member.stage.cancel()
            self._ending.begin(member, self._settle)
        elif cause == LOST and member.stage is not None:
            member.stage.cancel()

    def release(self, key: Key) -> None:
        """Let a member end that waits for the first of its gang."""
        for member in (*self.waitlist, *self.running.values()):
            if member.key == key:
                member.released = True
                if key in self.running and not member.steps:
                    self._settle(member)

    def reach_goal(self, member: Member) -> None:
        """Note that a member says its work is done; the server tells the others of its gang."""
        self.wind_down(member.key)
        self.goals.append(member.held)
        self.changed()

    def wind_down(self, key: Key) -> None:
        """Give a member its grace to leave; from now on it succeeds however it ends."""
        waiting = self.waitlist.remove(key)
        if waiting is not None:
            waiting.goal_at = self._chance.monotonic()
            self._report(waiting)
        member = self.running.get(key)
        if member is None or member.goal_at is not None or member.spec.goal is None:
            return
        member.goal_at = self._chance.monotonic()
        asyncio.get_running_loop().call_later(
            member.spec.goal.grace, self.kill, member.key, GOAL_REACHED
        )

    def drop(self, key: Key) -> None:
        """End a member that the server no longer wants to hear of."""
        if self.waitlist.remove(key) is None:
            self.kill(key)
        self.finished = [end for end in self.finished if (end.job, end.attempt, end.rank) != key]

    def read(self, key: Key, stream: Stream, offset: int, limit: int) -> bytes | None:
        """Return bytes a running member has written; None when it does not run (any more)."""
        member = self.running.get(key)
        if member is None or member.slot is None:
            return None
        files = {Stream.STDOUT: member.slot.stdout, Stream.STDERR: member.slot.stderr}
        return files[stream].read(offset, limit)

    def reap(self) -> None:
        """Collect every process that has ended; while short jobs stream through, stay with them.

        A trip through the event loop costs as much as the rest of a short job, so in a burst
        the next child is awaited right here, for a moment, before others get their turn.
        """
        self._collect()
        if not self.waitlist.brisk:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, _CHILD_ENDED)
        try:
            until = self._chance.monotonic() + BURST
            while self.waitlist.brisk and self._by_pid:
                left = until - self._chance.monotonic()
                if left <= 0 or signal.sigtimedwait(_CHILD_ENDED, left) is None:
                    break
                self._collect()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _CHILD_ENDED)

    def _collect(self) -> None:
        while True:
            target, engine = -1, 0
            if self._orphans.engines:
                # Once it is reaped, nothing tells whose orphan it was.
                target = next_zombie()
                if target == 0:
                    return
                engine = self._orphans.owner_of(target)
            try:
                pid, status, usage = os.wait4(target, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            member = self._by_pid.pop(pid, None)
            code = os.waitstatus_to_exitcode(status)
            if member is None and engine:
                used = Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
                self._orphans.reaped(engine, used)
            elif member is None:
                self._other_ended(pid, code)
            else:
                seconds = usage.ru_utime + usage.ru_stime
                peak = true_peak(usage.ru_maxrss)
                if pid in self._orphans.engines:
                    self._engine_ended(member, code, Used(seconds, peak))
                else:
                    self._step_ended(member, code, seconds, peak)

    def _engine_ended(self, member: Member, code: int, own: Used) -> None:
        def step_ended(left: Used) -> None:
            peak = max(own.peak_kb, left.peak_kb)
            self._step_ended(member, code, own.cpu + left.cpu, peak)

        self._orphans.engine_ended(member.pid, step_ended)

    def _other_ended(self, pid: int, code: int) -> None:
        owner = self._sidecars.pop(pid, None)
        if owner is not None:
            owner.sidecars.discard(pid)
        else:
            self._helpers.ended(pid, code)

    def _begin(self, member: Member) -> None:
        self.free.take(member.need)
        self.running[member.key] = member
        self.busy.set()
        self.idle.clear()
        member.began = self._chance.monotonic()
        spec, lease = member.spec, member.lease
        member.steps = task_steps(spec, lease.rank)
        member.waits = lease.rank > 0 and any(map(first_only, tasks_of(spec)))
        member.gpus = [self._gpus.pop(0) for _ in range(member.need.gpus)]
        member.env = environment(self._base, spec, lease, self.node, member.gpus, self.server_url)
        self._enter(member)

    def _enter(self, member: Member) -> None:
        """Give the member its files and folder, and run it; on a full disk it waits for room."""
        if member.cause:
            return
        try:
            if member.slot is None:
                member.slot = self._slots.take()
            entered = self._entrance.enter(member)
        except OSError as error:
            if error.errno in NO_ROOM:
                log.warning("disk.full", job=member.lease.job, error=str(error))
                asyncio.get_running_loop().call_later(DISK_PAUSE, self._enter, member)
                return
            entered = False
            member.cause, member.message = COULD_NOT_START, str(error)
        if not entered:
            self._settle(member)
        elif member.sandbox is not None:
            self._note_start(member)
            self._stage(member, self._sandboxes.open(member, member.sandbox))
        elif member.spec.mounts:
            self._mounts.begin(member, self._mounted)
        else:
            self._first_step(member)

    def _first_step(self, member: Member) -> None:
        if member.spec.watch_container:
            self._stage(member, self._containers.begin(member))
        elif self._networks.wants(member):
            self._stage(member, self._networks.join(member))
        else:
            self._next_step(member)

    def _mounted(self, member: Member, problem: str) -> None:
        """Go on once the member sees its remote file systems, or cannot."""
        if member.cause:
            return
        if problem:
            member.cause, member.message = MOUNT_FAILED, problem
            self._settle(member)
        else:
            self._first_step(member)

    def _stage(self, member: Member, work: Coroutine[Any, Any, None]) -> None:
        """Go on with the member's steps once something was awaited."""
        member.stage = asyncio.get_running_loop().create_task(work)
        member.stage.add_done_callback(lambda task: self._staged(member, task))

    def _staged(self, member: Member, task: "asyncio.Task[None]") -> None:
        member.stage = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            if not isinstance(error, FailedError | OSError | InvalidInputError):
                log.error("stage.failed", job=member.lease.job, exc_info=error)
            reason = error.reason if isinstance(error, FailedError) else COULD_NOT_START
            member.fail(reason, str(error))
        self._next_step(member)

    def _next_step(self, member: Member) -> None:
        """Run the next step, or settle the member when there is none."""
        if not member.steps:
            if not member.waits or member.released or member.failed or member.cause:
                self._settle(member)
            elif member.started_at is None:
                self._note_start(member)
            return
        sandbox, step = member.sandbox, member.steps[0]
        if sandbox is not None and self._lacks_image(member, sandbox, step):
            self._stage(member, self._fetch_image(member, sandbox, step))
            return
        member.current = member.original = member.steps.pop(0)
        self._run(member, step)

    def _lacks_image(self, member: Member, sandbox: Sandbox, step: Step) -> bool:
        """Whether the step's image is still to be fetched; if not, note how it was had."""
        if step.task is None or step.image is None or not self._runtimes.isolates:
            return False
        if step.image not in sandbox.images:
            return True
        if member.tries == 0:
            member.pull = sandbox.take_pulled(step.image)
        return False

    def _run(self, member: Member, step: Step) -> None:
        try:
            if member.sandbox is not None and step.task is not None:
                member.current = step = dress(member.sandbox, member.spec, step)
            pid = self._spawn(member, step)
        except (OSError, ValueError, CannotRunError, InvalidInputError) as error:
            self._could_not_run(member, error)
            return
        if step.kind == "sidecar":
            self._sidecars[pid] = member
            member.sidecars.add(pid)
            member.note_process(pid)
            self._next_step(member)
            return
        self._by_pid[pid] = member
        self.begun.set()
        member.pid = pid
        if step.task is not None:
            member.ran = True
        if step.image is not None and self._runtimes.bequeaths():
            self._orphans.expect(pid)
        if member.started_at is None:
            self._note_start(member)
        elif member.first_pid == 0:
            member.first_pid = pid

    async def _fetch_image(self, member: Member, sandbox: Sandbox, step: Step) -> None:
        try:
            sandbox.pulled = await self._sandboxes.fetch_image(member, sandbox, step)
        except FailedError as error:
            if step.kind != "sidecar":
                member.results.append(TaskResult(None, 0.0, 0.0, 0, 0, "failed"))
            if not member.spec.ignore_task_failures:
                raise
            sandbox.late_cause, sandbox.late_message = error.reason, str(error)
            member.steps.pop(0)

    def _spawn(self, member: Member, step: Step) -> int:
        slot = member.slot
        assert slot is not None
        words, env, cwd = self._runtimes.prepare(member, step)
        stdout = slot.stdout.descriptor
        stderr = stdout if member.spec.merge_output else slot.stderr.descriptor
        member.step_began = self._chance.monotonic()
        if step.script is not None:
            with open_script(step.script) as script:
                streams = Descriptors(self._null, stdout, stderr)
                return spawn(words, env, cwd, streams, (script, SCRIPT_DESCRIPTOR))
        if step.tee is None:
            return spawn(words, env, cwd, Descriptors(self._null, stdout, stderr))
        sandbox = member.sandbox
        path = os.path.join(member.cwd, step.tee) if sandbox is None else sandbox.on_node(step.tee)
        tees = start_tees(self._helpers, path, member.env, stdout, stderr)
        try:
            pid = spawn(words, env, cwd, Descriptors(self._null, tees.stdout, tees.stderr))
        finally:
            tees.close()
        member.tees = tees
        return pid

    def _note_start(self, member: Member) -> None:
        member.started_at = self._chance.now()
        member.first_pid = member.pid
        member.begun = begun(member)
        self._journal.began(member.begun)
        self.untold.add(member.key)
        self.changed()

    def _could_not_run(self, member: Member, error: Exception) -> None:
        if member.current is not None and member.current.task is None:
            log.info("hook.failed", job=member.lease.job, error=str(error))
            self._next_step(member)
            return
        reason = error.reason if isinstance(error, CannotRunError) else COULD_NOT_START
        member.fail(reason, str(error))
        self._settle(member)

    def _step_ended(self, member: Member, code: int, cpu: float, peak_kb: int) -> None:
        step = member.current
        assert step is not None
        wall = self._chance.monotonic() - member.step_began
        member.cpu += cpu
        member.peak_kb = max(member.peak_kb, peak_kb)
        if step.task is None:
            self._next_step(member)
            return
        if code != 0 and member.tries < step.retries and not member.cause:
            member.tries += 1
            assert member.original is not None
            member.steps.insert(0, member.original)
        else:
            member.results.append(TaskResult(code, wall, cpu, peak_kb, member.tries, *member.pull))
            member.tries = 0
            if code != 0:
                member.failed = True
                if not member.spec.ignore_task_failures:
                    member.steps.clear()
                # What follows may remove the folder, and then nobody could tell.
                folder = member.workspace
                member.no_room = folder is not None and is_volume_full(folder.root)
        if member.tees is None:
            self._next_step(member)
            return
        tees, member.tees = member.tees, None
        self._stage(member, tees.finish())

    def _settle(self, member: Member) -> None:
        """Report a member whose last step is over, once nothing of it lives any more."""
        # Both the last process and the end of the ending come here, in either order.
        if self.running.get(member.key) is not member:
            return
        if member.stage is not None:
            return
        if member.ending is not None and not member.ending.done():
            return
        if member.pid in self._by_pid or member.pid in self._orphans.engines:
            return
        if member.ending is None and self._left_something(member):
            self._ending.begin(member, self._settle)
            return
        if member.hooks_due and leaves_lessons(member):
            self._stage(member, measure_disk(member))
            return
        if member.hooks_due and self._hooks_begin(member):
            return
        self._clear_away(member)

    def _clear_away(self, member: Member) -> None:
        """Undo what was made for the member, a thing at a time, and then report it."""
        sandbox = member.sandbox
        if sandbox is not None and not sandbox.closed:
            sandbox.closed, member.ending = True, None
            if sandbox.late_cause:
                member.fail(sandbox.late_cause, sandbox.late_message)
            self._stage(member, self._sandboxes.close(member, sandbox))
        elif member.mounts is not None:
            self._mounts.end(member, self._settle)
        elif member.removals:
            member.steps, member.removals = member.removals, []
            self._next_step(member)
        else:
            self._report(member)

    def _hooks_begin(self, member: Member) -> bool:
        """Begin what is to be done after the tasks; return whether that is anything."""
        member.hooks_due = False
        if member.started_at is None:
            return False
        member.steps, member.removals = last_steps(member)
        if not member.steps:
            return False
        member.ending = None
        self._next_step(member)
        return True

    def _left_something(self, member: Member) -> bool:
        """Whether processes of the member outlived its last command."""
        if member.container is not None:
            return True
        if member.first_pid == 0:
            return False
        if member.sidecars:
            return True
        try:
            os.killpg(member.pid, 0)
        except ProcessLookupError:
            if self._children.issubset(self._by_pid.keys() | self.bystanders):
                return False
        except PermissionError:
            return True
        return bool(members_of(processes_of(member), thorough=True))

    def _report(self, member: Member) -> None:
        running = self.running.pop(member.key, None)
        processes = member.processes
        if member.failed and not member.cause and processes and processes.group.out_of_memory():
            member.cause = OVER_MEMORY
        result = finished(member, self._chance.now(), self._outputs, self._keep)
        self.finished.append(result)
        if running is not None:
            self._journal.ended(result)
            self.waitlist.took(member, self._chance.monotonic() - member.began)
            self._release(member)
            self.fill()
            if not self.running:
                self.busy.clear()
                self.idle.set()
        self.changed()

    def _release(self, member: Member) -> None:
        self.free.give(member.need)
        self._gpus.extend(member.gpus)
        self._ending.forget(member)
        self._networks.leave(member)
        member.release_image()
        if member.engine_folder is not None:
            self._runtimes.cleanup(member)
        if member.slot is not None:
            self._slots.give_back(member.slot)
        if member.scratch_stamp is not None:
            self._scratch.give_back(member.cwd, member.scratch_stamp)
        if member.workspace is not None and not os.path.lexists(member.workspace.root):
            prune(member.workspace.root, resolve_home(member.spec.cwd or ""))
