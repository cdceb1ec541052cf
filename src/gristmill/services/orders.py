"""Doing things inside running jobs, through the agent that has them."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from gristmill.domain.errors import ConflictError, InvalidInputError, UnavailableError
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Order, OrderResult
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.registry import Registry
from gristmill.store.database import Transaction

EXEC_LIMIT = 10.0
PACK_LIMIT = 600.0
"""Seconds a command, and packing and sending a folder, may take."""

ANSWER_LIMIT = 10.0
"""Seconds the agent has beyond what the order itself may take."""

MOST_WORDS, LONGEST_WORD = 1_000, 100_000


class ExecResult(NamedTuple):
    """What a command in a running job came to. exit_code: None when it ran out of time."""

    exit_code: int | None
    output: bytes


class Orders:
    """Runs commands in the container of a running job, and takes snapshots of its files."""

    def __init__(self, core: QueueCore, registry: Registry, listing: Listing) -> None:
        self._core, self._registry, self._listing = core, registry, listing
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[OrderResult]] = {}

    async def execute(
        self, who: Identity, job: int, words: Sequence[str], limit: float = EXEC_LIMIT
    ) -> ExecResult:
        """Run a command where the job's current task runs, on its first node.

        limit: seconds. Raises NotFoundError, ConflictError when the job does not run,
        InvalidInputError for what cannot be a command, UnavailableError.
        """
        if not words or not words[0]:
            raise InvalidInputError("give a command", "command")
        if len(words) > MOST_WORDS or any("\0" in w or len(w) > LONGEST_WORD for w in words):
            raise InvalidInputError("the command cannot be executed", "command")
        order = Order(next(self._numbers), job, 0, list(words), limit)
        result = await self._give(who, order, limit)
        at, text = self._core.chance.now(), msgspec.json.encode(words).decode()
        await self._core.database.write(
            lambda tx: tx.run("insert_job_command", job=job, at=at, words=text)
        )
        return ExecResult(result.code, result.output)

    async def snapshot(self, who: Identity, job: int, path: str, url: str) -> None:
        """Have a file or folder of the job packed and sent to url with PUT.

        path: relative to the job's folder, or exactly where an artifact is shown.
        Raises as execute does.
        """
        if not path or ".." in path.split("/") or "\0" in path:
            raise InvalidInputError(f"{path!r} is no path in the job's folder", "path")
        order = Order(next(self._numbers), job, 0, [], PACK_LIMIT, path, url)
        await self._give(who, order, PACK_LIMIT)

    async def commands(self, who: Identity, job: int) -> list[tuple[float, list[str]]]:
        """Return what was run inside a job, each with its time. Raises NotFoundError."""
        await self._listing.get(who, job)
        return await self._core.database.read(lambda tx: _commands(tx, job))

    async def commands_of(self, jobs: Sequence[int]) -> dict[int, list[tuple[float, list[str]]]]:
        """Return what was run inside many jobs, each command with its time."""

        def work(tx: Transaction) -> dict[int, list[tuple[float, list[str]]]]:
            return {job: _commands(tx, job) for job in jobs}

        return await self._core.database.read(work)

    def answered(self, request: int, result: OrderResult) -> None:
        """Take an agent's answer; a late one is ignored."""
        future = self._waiting.get(request)
        if future is not None and not future.done():
            future.set_result(result)

    def release(self) -> None:
        """Wait for no agent any longer; the server stops."""
        for request in list(self._waiting):
            self.answered(request, OrderResult(absent=True))

    async def _give(self, who: Identity, order: Order, limit: float) -> OrderResult:
        head = (await self._listing.get(who, order.job)).row.head
        agent = None if head.agent_id is None else self._registry.find(head.agent_id)
        if head.state is not JobState.RUNNING or head.cancel_requested or agent is None:
            raise ConflictError(f"job {order.job} is not running")
        future: asyncio.Future[OrderResult] = asyncio.get_running_loop().create_future()
        self._waiting[order.request] = future
        try:
            self._registry.order(agent, msgspec.structs.replace(order, attempt=head.attempt))
            async with asyncio.timeout(limit + ANSWER_LIMIT):
                result = await future
        except TimeoutError as error:
            raise UnavailableError(f"the agent of job {order.job} does not answer") from error
        finally:
            del self._waiting[order.request]
        if result.absent:
            why = f": {result.error}" if result.error else ""
            raise ConflictError(f"job {order.job} is not running{why}")
        if result.error:
            raise InvalidInputError(result.error, "command" if order.words else "path")
        return result


def _commands(tx: Transaction, job: int) -> list[tuple[float, list[str]]]:
    rows = tx.all("list_job_commands", job=job)
    return [(at, msgspec.json.decode(words, type=list[str])) for at, words in rows]
