"""Orders from people about a running job: a command in its container, a snapshot of its files."""

import asyncio
import contextlib
import os
import signal

import structlog

from gristmill.agent.connection import NotRegisteredError, RefusedError, ServerAwayError
from gristmill.agent.member import Member
from gristmill.agent.questions import Questions
from gristmill.agent.runner import Runner
from gristmill.agent.runtimes import CannotRunError, Runtimes
from gristmill.agent.sandbox import FailedError, dress
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.spawning import Helpers
from gristmill.agent.steps import Step
from gristmill.domain.errors import InvalidInputError
from gristmill.protocol.messages import Order, OrderResult

MOST_OUTPUT = 1 << 20
"""Bytes of a command's output that are kept."""

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
        step = Step(None, tuple(order.words), current.image, current.env, None, 0)
        if member.sandbox is not None:
            step = dress(member.sandbox, member.spec, step)
        words, env, cwd = self._runtimes.prepare(member, step)
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)
        try:
            pid, ended = self._helpers.start(words, env, cwd, stdout=write, stderr=write)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        output = _Output(read)
        try:
            async with asyncio.timeout(order.limit):
                code: int | None = await asyncio.shield(ended)
        except TimeoutError:
            code = None
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        finally:
            output.close()
        return OrderResult(code, bytes(output.data))


class _Output:
    """Gathers what comes out of a pipe, and lets go of what is too much."""

    def __init__(self, descriptor: int) -> None:
        self.data = bytearray()
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def close(self) -> None:
        """Take what is still there and close the pipe."""
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            return False
        self.data += chunk[: MOST_OUTPUT - len(self.data)]
        return True
