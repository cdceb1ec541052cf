"""What jobs write: raw bytes from an offset to the current end."""

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.exchange import Exchange
from gristmill.dialects.prominence.own import get_own
from gristmill.dialects.prominence.routes import Endpoint
from gristmill.domain.identity import Identity
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.outputs import MOST_A_READ
from gristmill.services.queue.views import Listed

STREAMS = {"stdout": Stream.STDOUT, "stderr": Stream.STDERR}


class Output:
    """Serves ``/jobs/<id>/stdout`` and ``/stderr``."""

    def __init__(self, house: House) -> None:
        self._house = house

    def endpoints(self) -> list[Endpoint]:
        """Return what this room serves."""
        return [
            Endpoint("GET", "jobs/{}/stdout", self.stdout),
            Endpoint("GET", "jobs/{}/stderr", self.stderr),
        ]

    async def stdout(self, exchange: Exchange, who: Identity) -> None:
        """Read what the tasks wrote to their standard output."""
        await self._read(exchange, who, "stdout")

    async def stderr(self, exchange: Exchange, who: Identity) -> None:
        """Read what the tasks wrote to their standard error."""
        await self._read(exchange, who, "stderr")

    async def _read(self, exchange: Exchange, who: Identity, name: str) -> None:
        job = await get_own(self._house, who, exchange.parts[0])
        node = exchange.query.integer("node", 0)
        await reply_output(self._house, exchange, who, job, name, node)


async def reply_output(
    house: House, exchange: Exchange, who: Identity, job: Listed, name: str, node: int
) -> None:
    """Answer with a stream of a job's node. Raises RefusedError when there is no such node."""
    if not 0 <= node < job.row.spec.resources.nodes:
        raise bad(f"{name} does not exist")
    offset = exchange.query.integer("offset", 0)
    if offset < 0:
        raise bad(f"offset must be at least 0, not {offset}")
    number = job.row.head.id
    chunk = await house.outputs.read(who, number, STREAMS[name], offset=offset, rank=node)
    if len(chunk.data) < MOST_A_READ:
        await exchange.reply_text(chunk.data)
        return
    async with exchange.text_in_parts() as send:
        while chunk.data:
            await send(chunk.data)
            chunk = await house.outputs.read(
                who, number, STREAMS[name], offset=chunk.next_offset, rank=node
            )
