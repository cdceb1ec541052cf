"""Writing the statuses of jobs, with what the caller wants to see of each."""

import asyncio
from collections.abc import Mapping, Sequence

from gristmill.dialects.wr import wire
from gristmill.dialects.wr.output import WHOLE, shorten
from gristmill.dialects.wr.queries import Query
from gristmill.dialects.wr.selection import Selected
from gristmill.dialects.wr.status import FAILED, Seen, status
from gristmill.domain.identity import Identity
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.queue.glances import Glance

INLINE = 200
"""Up to so many statuses are written on the event loop; more in a thread."""

MOST_WITH_OUTPUT = 1000
"""Output is shown only while no more failed jobs than this are asked for at once."""


class Report:
    """Turns selected jobs into the bytes of a reply.

    environment: what every command inherits from its node. own_address: of this machine, as
    others reach it.
    """

    def __init__(self, house: House, environment: Mapping[str, str], own_address: str) -> None:
        self._house, self._environment = house, environment
        self._own_address = reachable(own_address)

    async def write(
        self, query: Query, who: Identity, found: Sequence[Selected], word: str | None = None
    ) -> bytes:
        """Return an array of statuses. word: what to call the state of all of them."""
        seen = await self._see(query, who, found)

        def encode() -> bytes:
            return wire.encode([status(glance, seen, group, word) for glance, group in found])

        return encode() if len(found) <= INLINE else await asyncio.to_thread(encode)

    async def _see(self, query: Query, who: Identity, found: Sequence[Selected]) -> Seen:
        hosts = {}
        if any(glance.attempt is not None for glance, _ in found):
            for number, row in (await self._house.agents.hosts()).items():
                hosts[number] = (row.hostname, reachable(row.address) or self._own_address)
        return Seen(
            self._house.chance.now(),
            hosts,
            await self._outputs(who, found) if query.flag("std") else {},
            self._environment if query.flag("env") else None,
        )

    async def _outputs(
        self, who: Identity, found: Sequence[Selected]
    ) -> Mapping[int, tuple[str, str]]:
        failed = {glance.job.row.head.id: glance for glance, _ in found if _has_failed(glance)}
        if len(failed) > MOST_WITH_OUTPUT:
            return {}
        return {job: await self._output(who, glance) for job, glance in failed.items()}

    async def _output(self, who: Identity, glance: Glance) -> tuple[str, str]:
        assert glance.attempt is not None
        job, number = glance.job.row.head.id, glance.attempt.number
        sizes = await self._house.listing.output_sizes(job)
        texts = [
            await self._text(who, job, number, stream, sizes.get((number, 0, stream.value), 0))
            for stream in (Stream.STDOUT, Stream.STDERR)
        ]
        return texts[0], texts[1] or glance.attempt.message or ""

    async def _text(self, who: Identity, job: int, number: int, stream: Stream, size: int) -> str:
        if not size:
            return ""
        read = self._house.outputs.read
        head = await read(who, job, stream, attempt=number, limit=WHOLE)
        if size <= WHOLE:
            return shorten(head.data)
        start = max(WHOLE, size - WHOLE)
        tail = await read(who, job, stream, attempt=number, offset=start, limit=WHOLE)
        return shorten(head.data, start - WHOLE, tail.data)


def _has_failed(glance: Glance) -> bool:
    head = glance.job.row.head
    return head.state in FAILED and head.failures > 0 and glance.attempt is not None


def reachable(address: str) -> str:
    """Return an address that means something on other machines too, else nothing."""
    return "" if address.startswith("127.") else address
