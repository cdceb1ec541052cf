"""What a job writes, as it grows: the end of a stream as text, more of it, all of it as a file."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.response import Stream as StreamResponse

from gristmill.domain.errors import UnavailableError
from gristmill.domain.identity import Identity
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.outputs import OutputChunk
from gristmill.web.markup import visible
from gristmill.web.terminal import piece
from gristmill.web.visit import TheHouse, TheVisitor

TAIL = 64 << 10
"""Bytes at the end of a stream that a page begins with."""

PATIENCE = 2.0
"""Seconds a page waits for an agent to tell what a job has written."""

MOST_A_LOOK = 256 << 10
LARGEST_OFFSET = 1 << 62

Name = Literal["stdout", "stderr"]
STREAMS: dict[Name, Stream] = {"stdout": Stream.STDOUT, "stderr": Stream.STDERR}

Job = Annotated[int, PathParameter(ge=1, le=(1 << 63) - 1)]
Attempt = Annotated[int, QueryParameter(ge=0, le=1 << 31)]
Rank = Annotated[int, QueryParameter(ge=0, le=10_000)]
Offset = Annotated[int, QueryParameter(ge=0, le=LARGEST_OFFSET)]


class Source(msgspec.Struct, frozen=True):
    """One stream of one member of one attempt."""

    job: int
    stream: Name
    attempt: int
    rank: int

    async def read(self, house: House, who: Identity, offset: int, limit: int) -> OutputChunk:
        """Return what there is from offset."""
        return await house.outputs.read(
            who,
            self.job,
            STREAMS[self.stream],
            offset=offset,
            limit=limit,
            attempt=self.attempt,
            rank=self.rank,
        )


class Look(msgspec.Struct, frozen=True):
    """What a pane shows next.

    skipped: bytes before it that are not shown. partial: a last line without an end; it is
    shown, and read again from ``next``.
    """

    skipped: int
    lines: str
    partial: str
    next: int
    ended: bool


@get("/ui/jobs/{job:int}/{stream:str}/more")
async def more(
    house: TheHouse,
    visitor: TheVisitor,
    job: Job,
    stream: FromPath[Name],
    attempt: Attempt,
    offset: Offset = 0,
    rank: Rank = 0,
) -> Response[Look]:
    """Return what follows an offset, as text."""
    look = await look_from(house, visitor.who, Source(job, stream, attempt, rank), offset)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(look, media_type="application/json", headers=headers)


@get("/ui/jobs/{job:int}/{stream:str}/file")
async def download(
    house: TheHouse,
    visitor: TheVisitor,
    job: Job,
    stream: FromPath[Name],
    attempt: Attempt,
    rank: Rank = 0,
) -> StreamResponse:
    """Return the stream as it is now, byte for byte."""
    source = Source(job, stream, attempt, rank)
    await source.read(house, visitor.who, 0, 1)
    return StreamResponse(
        _all(house, visitor.who, source),
        media_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="job-{job}.{stream}.txt"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _all(house: House, who: Identity, source: Source) -> AsyncIterator[bytes]:
    offset = 0
    while data := (await source.read(house, who, offset, MOST_A_LOOK)).data:
        offset += len(data)
        yield data


async def look_at_end(house: House, who: Identity, source: Source) -> Look:
    """Return the last lines of a stream; nothing yet when its agent does not answer soon."""
    try:
        async with asyncio.timeout(PATIENCE):
            start = await _tail_start(house, who, source)
            chunk = await source.read(house, who, start, MOST_A_LOOK)
    except (TimeoutError, UnavailableError):
        return Look(0, "", "", 0, ended=False)
    torn = chunk.data.find(b"\n") + 1 if start else 0
    return _look(chunk.data[torn:], start + torn, start + torn, ended=chunk.ended)


async def look_from(house: House, who: Identity, source: Source, offset: int) -> Look:
    """Return what follows an offset."""
    chunk = await source.read(house, who, offset, MOST_A_LOOK)
    return _look(chunk.data, offset, 0, ended=chunk.ended)


def _look(data: bytes, offset: int, skipped: int, *, ended: bool) -> Look:
    text = piece(data, offset, ended=ended)
    return Look(skipped, visible(text.lines), visible(text.partial), text.next_offset, ended)


async def _tail_start(house: House, who: Identity, source: Source) -> int:
    """Find the end by looking at twice the distance each time, then halve; streams only grow."""

    async def reaches(offset: int) -> bool:
        return bool((await source.read(house, who, offset, 1)).data)

    if not await reaches(MOST_A_LOOK):
        return 0
    low, high = MOST_A_LOOK, 2 * MOST_A_LOOK
    while await reaches(high):
        low, high = high, 2 * high
    while high - low > TAIL:
        middle = (low + high) // 2
        low, high = (middle, high) if await reaches(middle) else (low, middle)
    return max(0, low - TAIL)
