"""What jobs wrote: read from the store, from files, or from the agent that runs them now."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from typing import NamedTuple

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.state import HELD, JobState
from gristmill.protocol.messages import Held, ReadOutput, Stream, output_name
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.registry import Registry
from gristmill.services.waiting import pause
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_heads
from gristmill.store.runs import get_logs

MOST_A_READ = 1 << 20
"""Bytes returned at once when the caller names no limit."""

FOLLOW_INTERVAL = 0.25
"""Seconds between looks at the output of a running job that somebody follows."""

MOST_A_PIECE = 4 << 20
LARGEST_UPLOAD = 1 << 40
"""Bytes of one stream that an agent elsewhere may send, in pieces of at most so many."""

AGENT_LIMIT = 10.0
"""Seconds an agent has to answer."""


class OutputChunk(NamedTuple):
    """Bytes from an offset. ended: nothing will ever follow what exists now."""

    data: bytes
    next_offset: int
    ended: bool


class Outputs:
    """Reads output streams, finished or growing."""

    def __init__(self, core: QueueCore, registry: Registry, listing: Listing) -> None:
        self._core, self._registry, self._listing = core, registry, listing
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[bytes | None]] = {}

    async def read(
        self,
        who: Identity,
        job: int,
        stream: Stream,
        *,
        offset: int = 0,
        limit: int = MOST_A_READ,
        attempt: int | None = None,
        rank: int = 0,
    ) -> OutputChunk:
        """Return what the stream holds from offset; empty at or past its end.

        attempt: None for the current or last one. Raises NotFoundError.
        """
        head = (await self._listing.get(who, job)).row.head
        number = head.attempt if attempt is None else attempt
        if not 0 <= number <= head.attempt:
            raise NotFoundError(f"job {job} has no attempt {number}")
        current = number == head.attempt
        if current and head.state in HELD and head.agent_id is not None:
            data = await self._ask_agent(head.agent_id, job, number, rank, stream, offset, limit)
            if data is not None:
                return OutputChunk(data, offset + len(data), ended=False)
        data = await self._core.database.read(
            lambda tx: self._stored(tx, job, number, rank, stream, offset, limit)
        )
        active = current and head.state not in {
            JobState.COMPLETE,
            JobState.BURIED,
            JobState.CANCELLED,
        }
        return OutputChunk(data, offset + len(data), ended=not active and len(data) < limit)

    async def follow(
        self,
        who: Identity,
        job: int,
        stream: Stream,
        *,
        offset: int,
        attempt: int | None = None,
        rank: int = 0,
    ) -> AsyncGenerator[bytes, None]:
        """Yield bytes as they come, until the job has ended or the server stops.

        attempt: this one alone; None begins with the current one and goes on with later ones,
        each from its beginning.
        """
        number = attempt
        while not self._core.signals.closing:
            current = (await self._listing.get(who, job)).row.head.attempt
            number = current if number is None else number
            chunk = await self.read(who, job, stream, offset=offset, attempt=number, rank=rank)
            offset = chunk.next_offset
            if chunk.data:
                yield chunk.data
            elif not chunk.ended:
                await pause(FOLLOW_INTERVAL)
            elif attempt is None and number < current:
                number, offset = number + 1, 0
            else:
                return

    def answered(self, request: int, data: bytes, *, ended: bool) -> None:
        """Take an agent's answer; a late one is ignored."""
        future = self._waiting.get(request)
        if future is not None and not future.done():
            future.set_result(None if ended else data)

    def release(self) -> None:
        """Wait for no agent's answer any longer; the server stops."""
        for request in list(self._waiting):
            self.answered(request, b"", ended=True)

    async def take_in(
        self, agent: int, instance: str, member: Held, stream: Stream, offset: int, data: bytes
    ) -> None:
        """Store a piece of a stream that is too large for a report, sent ahead of it.

        offset: bytes sent before; 0 begins anew. Raises ConflictError when the agent must
        register again, InvalidInputError when this piece is not wanted, UnavailableError.
        """
        self._registry.get(agent, instance)
        if not 0 <= offset <= LARGEST_UPLOAD or len(data) > MOST_A_PIECE:
            raise InvalidInputError(f"{len(data)} bytes at {offset} are too many", "offset")
        await self._core.database.read(lambda tx: check_holds(tx, agent, member))
        name = output_name(member.job, member.attempt, member.rank, stream)
        await asyncio.to_thread(self._core.outputs.write, name, offset, data)

    async def _ask_agent(
        self,
        number: int,
        job: int,
        attempt: int,
        rank: int,
        stream: Stream,
        offset: int,
        limit: int,
    ) -> bytes | None:
        agent = self._registry.find(await self._agent_of(number, job, attempt, rank))
        if agent is None or self._core.signals.closing:
            return None
        request = next(self._numbers)
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self._registry.order_read(
                agent, ReadOutput(request, job, attempt, rank, stream, offset, limit)
            )
            async with asyncio.timeout(AGENT_LIMIT):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[request]

    async def _agent_of(self, number: int, job: int, attempt: int, rank: int) -> int:
        """Return the agent that has this rank of a gang; number is that of rank 0."""
        if rank == 0:
            return number

        def work(tx: Transaction) -> int:
            rows = tx.all("get_gang_members", job=job, attempt=attempt)
            return next((agent for found, agent, _ in rows if found == rank), number)

        return await self._core.database.read(work)

    def _stored(
        self,
        tx: Transaction,
        job: int,
        attempt: int,
        rank: int,
        stream: Stream,
        offset: int,
        limit: int,
    ) -> bytes:
        row = tx.one("get_output", job=job, attempt=attempt, rank=rank, stream=stream.value)
        if row is None:
            return _sent_log(tx, job, stream)[offset : offset + limit]
        _, data, path = row
        if path:
            return self._core.outputs.read(path, offset, limit)
        return bytes(data or b"")[offset : offset + limit]


def _sent_log(tx: Transaction, job: int, stream: Stream) -> bytes:
    """Return what an external worker sent of a run; it does not tell streams apart."""
    log = get_logs(tx, [job]).get(job) if stream is Stream.STDOUT else None
    return b"" if log is None else log.content or b""


def check_holds(tx: Transaction, agent: int, member: Held) -> None:
    """Raise InvalidInputError unless the agent has this member of the current attempt."""
    head = next(iter(get_heads(tx, [member.job])), None)
    if head is not None and head.attempt == member.attempt and head.state in HELD:
        gang = tx.all("get_gang_members", job=member.job, attempt=member.attempt)
        holders = {rank: number for rank, number, _ in gang} or {0: head.agent_id}
        if holders.get(member.rank) == agent:
            return
    raise InvalidInputError(f"the agent does not hold member {member.rank} of job {member.job}")
