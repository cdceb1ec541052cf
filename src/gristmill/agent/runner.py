"""The agent's heart: starts members, reaps their processes, turns ends into results.

Everything happens on one thread. A member of a short job passes through start and one reap;
looking after longer ones is the watch's business.
"""

import asyncio
import errno
import os
import resource
import signal
from collections.abc import Callable, Iterable

import msgspec
import structlog

from gristmill.agent.census import members_of
from gristmill.agent.ending import Ending, processes_of
from gristmill.agent.journal import Journal
from gristmill.agent.member import Key, Member
from gristmill.agent.processes import OwnChildren
from gristmill.agent.results import finished
from gristmill.agent.runtimes import CannotRunError, Runtimes
from gristmill.agent.slots import Keep, Scratch, Slots
from gristmill.agent.steps import environment, hook_steps, removal, resolve_home, task_steps
from gristmill.agent.waitlist import Waitlist
from gristmill.agent.workspace import make_workspace, prune, remove_if_empty
from gristmill.domain.clock import Chance
from gristmill.domain.job import JobSpec
from gristmill.domain.job import Workspace as WantedWorkspace
from gristmill.domain.outcome import (
    BAD_WORKDIR,
    CANCELLED_BY_USER,
    COULD_NOT_START,
    OVER_MEMORY,
    TaskResult,
)
from gristmill.domain.resources import Capacity, need_of
from gristmill.protocol.messages import Finished, Held, Lease, Stream

DISK_PAUSE = 1.0
"""Seconds after which a member that found no room on the disk tries to begin again."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_decode_spec = msgspec.msgpack.Decoder(JobSpec).decode

log = structlog.get_logger()

_DEFAULT_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
)
"""What the agent or Python ignore or handle must not be inherited."""

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
        ending: Ending,
        chance: Chance,
        outputs: str,
        keep: Keep,
        on_change: Callable[[], None],
    ) -> None:
        self.node, self.instance = node, instance
        self.capacity, self.free = capacity, capacity.copy()
        self.busy = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.waitlist = Waitlist()
        self.running: dict[Key, Member] = {}
        self.untold: set[Key] = set()
        self.finished: list[Finished] = []
        self.returned: list[Held] = []
        self._by_pid: dict[int, Member] = {}
        self.bystanders: set[int] = set()
        self._filling = False
        self._base, self._slots, self._scratch = base_environment, slots, scratch
        self._journal, self._runtimes, self._ending = journal, runtimes, ending
        self._chance, self._on_change = chance, on_change
        self._outputs, self._keep = outputs, keep
        self._gpus = list(range(capacity.gpus))
        self._children = OwnChildren()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def accept(self, leases: Iterable[Lease]) -> None:
        """Take leases; start what fits."""
        for lease in leases:
            key = (lease.job, lease.attempt, lease.rank)
            if key not in self.running:
                spec = _decode_spec(lease.spec)
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
            self._on_change()

    def give_back(self) -> None:
        """Return to the server what has not begun."""
        self.returned.extend(member.held for member in self.waitlist)
        self.waitlist = Waitlist()
        self._on_change()

    def kill(self, key: Key, cause: str = CANCELLED_BY_USER) -> None:
        """End a member, all of it, and report cause as the reason."""
        waiting = self.waitlist.remove(key)
        if waiting is not None:
            waiting.cause = cause
            self._report(waiting)
            return
        member = self.running.get(key)
        if member is not None and not member.cause:
            member.cause = cause
            member.steps.clear()
            self._ending.begin(member, self._settle)

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
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            member = self._by_pid.pop(pid, None)
            if member is not None:
                seconds = usage.ru_utime + usage.ru_stime
                code = os.waitstatus_to_exitcode(status)
                self._step_ended(member, code, seconds, _true_peak(usage.ru_maxrss))

    def _begin(self, member: Member) -> None:
        self.free.take(member.need)
        self.running[member.key] = member
        self.busy.set()
        self.idle.clear()
        member.began = self._chance.monotonic()
        member.steps = task_steps(member.spec)
        member.gpus = [self._gpus.pop(0) for _ in range(member.need.gpus)]
        member.env = environment(self._base, member.spec, member.lease, self.node, member.gpus)
        self._enter(member)

    def _enter(self, member: Member) -> None:
        """Give the member its files and folder, and run it; on a full disk it waits for room."""
        if member.cause:
            return
        try:
            if member.slot is None:
                member.slot = self._slots.take()
            entered = self._enter_workdir(member)
        except OSError as error:
            if error.errno in _NO_ROOM:
                log.warning("disk.full", job=member.lease.job, error=str(error))
                asyncio.get_running_loop().call_later(DISK_PAUSE, self._enter, member)
                return
            entered = False
            member.cause, member.message = COULD_NOT_START, str(error)
        if entered:
            self._next_step(member)
        else:
            self._settle(member)

    def _enter_workdir(self, member: Member) -> bool:
        spec = member.spec
        if spec.cwd is None:
            member.cwd, member.scratch_stamp = self._scratch.take()
            return True
        member.cwd = resolve_home(spec.cwd)
        why = f"no such folder: {member.cwd}"
        if spec.create_cwd:
            try:
                os.makedirs(member.cwd, exist_ok=True)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise
                why = str(error)
        if not os.path.isdir(member.cwd):
            member.cause, member.message = BAD_WORKDIR, why
            return False
        if spec.workspace is not None:
            self._enter_workspace(member, spec.workspace)
        return True

    def _enter_workspace(self, member: Member, wanted: WantedWorkspace) -> None:
        made = make_workspace(member.cwd, wanted.path, self._chance.random)
        member.workspace, member.cwd = made, made.cwd
        member.env["TMPDIR"] = made.tmp
        if wanted.home:
            member.env["HOME"] = made.cwd

    def _next_step(self, member: Member) -> None:
        """Run the next step, or settle the member when there is none."""
        if not member.steps:
            self._settle(member)
            return
        member.current = member.steps.pop(0)
        try:
            pid = self._spawn(member)
        except (OSError, ValueError, CannotRunError) as error:
            self._could_not_run(member, error)
            return
        self._by_pid[pid] = member
        member.pid = pid
        if member.started_at is None:
            self._note_start(member)

    def _spawn(self, member: Member) -> int:
        step, slot = member.current, member.slot
        assert step is not None
        assert slot is not None
        words, env, cwd = self._runtimes.prepare(member, step)
        os.chdir(cwd)
        member.step_began = self._chance.monotonic()
        try:
            return os.posix_spawnp(
                words[0],
                words,
                env,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, self._null, 0),
                    (os.POSIX_SPAWN_DUP2, slot.stdout.descriptor, 1),
                    (os.POSIX_SPAWN_DUP2, slot.stderr.descriptor, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULT_SIGNALS,
            )
        finally:
            os.chdir("/")

    def _note_start(self, member: Member) -> None:
        member.started_at = self._chance.now()
        member.first_pid = member.pid
        self._journal.began(member.held)
        self.untold.add(member.key)
        self._on_change()

    def _could_not_run(self, member: Member, error: Exception) -> None:
        if member.current is not None and member.current.task is None:
            log.info("hook.failed", job=member.lease.job, error=str(error))
            self._next_step(member)
            return
        member.failed = True
        member.steps.clear()
        if isinstance(error, CannotRunError):
            member.cause, member.message = error.reason, str(error)
        else:
            member.cause, member.message = COULD_NOT_START, str(error)
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
            member.steps.insert(0, step)
            self._next_step(member)
            return
        member.results.append(TaskResult(code, wall, cpu, peak_kb, member.tries))
        member.tries = 0
        if code != 0:
            member.failed = True
            member.steps.clear()
        self._next_step(member)

    def _settle(self, member: Member) -> None:
        """Report a member whose last step is over, once nothing of it lives any more."""
        # Both the last process and the end of the ending come here, in either order.
        if self.running.get(member.key) is not member:
            return
        if member.ending is not None and not member.ending.done():
            return
        if member.pid in self._by_pid:
            return
        if member.ending is None and self._left_something(member):
            self._ending.begin(member, self._settle)
            return
        if member.hooks_due and self._hooks_begin(member):
            return
        self._report(member)

    def _hooks_begin(self, member: Member) -> bool:
        """Begin what is to be done after the tasks; return whether that is anything."""
        member.hooks_due = False
        if member.started_at is None:
            return False
        workspace = member.workspace
        folder = workspace.root if workspace else None
        if member.scratch_stamp is not None:
            folder = member.cwd
        succeeded = not member.failed and not member.cause
        member.steps = hook_steps(member.spec, succeeded=succeeded, folder=folder)
        if workspace is not None and not remove_if_empty(workspace.tmp):
            member.steps.append(removal(workspace.tmp))
        if not member.steps:
            return False
        member.ending = None
        self._next_step(member)
        return True

    def _left_something(self, member: Member) -> bool:
        """Whether processes of the member outlived its last command."""
        if member.first_pid == 0:
            return False
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
        self._on_change()

    def _release(self, member: Member) -> None:
        self.free.give(member.need)
        self._gpus.extend(member.gpus)
        self._ending.forget(member)
        member.release_image()
        if member.engine_folder is not None:
            self._runtimes.cleanup(member)
        if member.slot is not None:
            self._slots.give_back(member.slot)
        if member.scratch_stamp is not None:
            self._scratch.give_back(member.cwd, member.scratch_stamp)
        if member.workspace is not None and not os.path.lexists(member.workspace.root):
            prune(member.workspace.root, resolve_home(member.spec.cwd or ""))


def _true_peak(peak_kb: int) -> int:
    """Return the peak of a child, 0 where the kernel's figure says nothing.

    The kernel counts what the child was before it became the command: a copy of this agent.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_kb if peak_kb > own else 0
