"""Orders from people about a running job: a command in its container, a snapshot of its files."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from gristmill.agent.connection import NotRegisteredError, RefusedError, ServerAwayError
from gristmill.agent.container_process import find_first
from gristmill.agent.ending import processes_of
from gristmill.agent.killing import send
from gristmill.agent.member import Member
from gristmill.agent.processes import (
    MARKER_VARIABLE,
    Process,
    all_pids,
    identify,
    read_file,
)
from gristmill.agent.questions import Questions
from gristmill.agent.runner import Runner
from gristmill.agent.runtimes import CannotRunError, Runtimes
from gristmill.agent.sandbox import HOME, FailedError, dress
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.spawning import Helpers
from gristmill.agent.steps import Step
from gristmill.containers.run import Entry
from gristmill.domain.errors import InvalidInputError
from gristmill.protocol.messages import Order, OrderResult

MOST_OUTPUT = 1 << 20
"""Bytes of a command's output that are kept."""

COMMAND_VARIABLE = "GRISTMILL_COMMAND"
"""Tells a command's processes from the others of its job."""

NO_TASK = "no task of it runs just now"

_JOINING = [sys.executable, "-m", "gristmill.agent.joining"]
_CHUNK = 1 << 16

log = structlog.get_logger()


class Inside:
    """Carries out orders, each in a task of its own."""

    def __init__(
        self,
        *,
        runner: Runner,
        runtimes: Runtimes,
        helpers: Helpers,
        sandboxes: Sandboxes,
        questions: Questions,
    ) -> None:
        self._runner, self._runtimes, self._helpers = runner, runtimes, helpers
        self._sandboxes, self._questions = sandboxes, questions
        self._tasks: set[asyncio.Task[None]] = set()

    def obey(self, order: Order) -> None:
        """Begin an order; the server is told what came of it."""
        task = asyncio.create_task(self._carry_out(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: Order) -> None:
        try:
            result = await self._result(order)
        except (OSError, ValueError, CannotRunError, InvalidInputError, FailedError) as error:
            result = OrderResult(error=str(error) or type(error).__name__)
        try:
            await self._questions.answer(order.request, result)
        except (ServerAwayError, NotRegisteredError, RefusedError) as error:
            log.debug("order.not_answered", error=str(error))

    async def _result(self, order: Order) -> OrderResult:
        member = self._runner.running.get((order.job, order.attempt, 0))
        if member is None or member.current is None or member.current.task is None:
            return OrderResult(absent=True)
        if member.cause or member.pid == 0 or (member.sandbox and member.sandbox.closed):
            return OrderResult(absent=True)
        if order.words:
            return await self._execute(member, member.current, order)
        if member.sandbox is None:
            return OrderResult(error="only jobs in a sandbox have snapshots")
        error = await self._sandboxes.snapshot(member, member.sandbox, order.path, order.url)
        return OrderResult(error=error)

    async def _execute(self, member: Member, current: Step, order: Order) -> OrderResult:
        if member.stage is not None:
            return OrderResult(absent=True, error=NO_TASK)
        mark = f"{member.env[MARKER_VARIABLE]}/{order.request}"
        call = self._call(member, current, order.words, {COMMAND_VARIABLE: mark})
        if call is None:
            return OrderResult(absent=True, error=NO_TASK)
        try:
            return await self._run(member, call, mark, order.limit)
        finally:
            call.close()

    async def _run(self, member: Member, call: "_Call", mark: str, limit: float) -> OrderResult:
        output = _Output()
        try:
            pid, ended = self._start(member, call, output.writer)
            output.close_writer()
            code = await _end_of(ended, limit)
            if code is None:
                _end(pid, mark)
            said = output.rest()
        finally:
            output.close()
        trouble = None if code is None else call.trouble()
        if trouble is not None:
            return OrderResult(absent=trouble.ended, error=trouble.error)
        return OrderResult(code, said)

    def _start(
        self, member: Member, call: "_Call", writer: int
    ) -> "tuple[int, asyncio.Future[int]]":
        """Start a process, which counts as one of the member's from its first moment."""
        pid, ended = self._helpers.start(
            call.words, call.env, call.cwd, stdout=writer, stderr=writer, third=call.plan
        )
        processes_of(member).group.adopt(lambda: [pid])
        return pid, ended

    def _call(
        self, member: Member, current: Step, words: Sequence[str], variables: dict[str, str]
    ) -> "_Call | None":
        """Return what to start for a command beside the current step's; None while none runs."""
        step = current._replace(
            words=tuple(words), workdir=None, kind="basic", app="", tee=None, script=None
        )
        if member.sandbox is not None:
            step = dress(member.sandbox, member.spec, step)
        step = step._replace(env={**step.env, **variables})
        entry = self._runtimes.enter(member, step)
        if entry is None:
            return _Call(*self._runtimes.prepare(member, step))
        if entry.joins == "nothing":
            return _Call(entry.words, entry.env, member.cwd)
        first = find_first(entry, member.pid)
        return None if first is None else _joining(member, entry, first)


class _Call(NamedTuple):
    """A process to start. plan: descriptor of a file with what it is to do, if it needs one."""

    words: list[str]
    env: dict[str, str]
    cwd: str
    plan: int = -1

    def trouble(self) -> "_Trouble | None":
        """Return why the command was not run, None when it was."""
        said = os.pread(self.plan, _CHUNK, 0) if self.plan >= 0 else b""
        return msgspec.json.decode(said, type=_Trouble) if said else None

    def close(self) -> None:
        """Let go of the plan."""
        if self.plan >= 0:
            os.close(self.plan)


class _Trouble(msgspec.Struct):
    """Why a command was not run. ended: because the container is gone."""

    ended: bool
    error: str


def _joining(member: Member, entry: Entry, first: Process) -> _Call:
    rooted = entry.joins == "container"
    plan = {
        "pid": first.pid,
        "start": first.start,
        "root": rooted,
        "cwd": HOME if rooted else member.cwd,
        "words": entry.words,
        "env": entry.env,
    }
    descriptor = os.memfd_create("plan", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(plan))
    except BaseException:
        os.close(descriptor)
        raise
    env = {name: value for name, value in os.environ.items() if not name.startswith("GRIST")}
    env[MARKER_VARIABLE] = member.env[MARKER_VARIABLE]
    return _Call(_JOINING, env, "/", descriptor)


async def _end_of(ended: "asyncio.Future[int]", limit: float) -> int | None:
    """Return an exit code, None when that takes longer than the limit."""
    try:
        async with asyncio.timeout(limit):
            return await asyncio.shield(ended)
    except TimeoutError:
        return None


def _end(pid: int, mark: str) -> None:
    """Kill a command with all it has started, wherever that is by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    wanted = f"{COMMAND_VARIABLE}={mark}".encode()
    for each in map(identify, all_pids()):
        if each is None:
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if wanted in read_file(f"/proc/{each.pid}/environ").split(b"\0"):
                send(each, signal.SIGKILL)


class _Output:
    """Gathers what comes out of a pipe, and lets go of what is too much. writer: its other end."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def close_writer(self) -> None:
        """Leave writing to others."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def rest(self) -> bytes:
        """Take what is still there; return all that came."""
        while self._read():
            pass
        return bytes(self.data)

    def close(self) -> None:
        """Close the pipe."""
        self.close_writer()
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._reader)
            return False
        self.data += chunk[: MOST_OUTPUT - len(self.data)]
        return True
