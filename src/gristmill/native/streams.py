"""/v1 replies that go on: output as it is written, events as they happen."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.params import Parameter
from litestar.response import Stream as StreamResponse
from litestar import Response

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.native.jobs import AnyRequest, JobNumber
from gristmill.native.wire import EventView
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.outputs import MOST_A_READ
from gristmill.store.events import Event

KEEP_ALIVE = 15.0
LARGEST_OFFSET = 1 << 62
TEXT = "text/plain; charset=utf-8"
_encode = msgspec.json.Encoder().encode

Offset = Annotated[int, Parameter(ge=0, le=LARGEST_OFFSET)]
Limit = Annotated[int, Parameter(ge=1, le=64 << 20)]
Attempt = Annotated[int | None, Parameter(ge=0, le=1 << 31)]
Rank = Annotated[int, Parameter(ge=0, le=10_000)]


class OutputRoutes(Controller):
    """What jobs wrote."""

    path = "/v1/jobs/{job:int}"
    tags = ("output",)

    @get("/stdout", summary="Standard output of a job", media_type=TEXT)
    async def stdout(
        self,
        house: House,
        reader: Identity,
        job: JobNumber,
        offset: Offset = 0,
        limit: Limit = MOST_A_READ,
        attempt: Attempt = None,
        rank: Rank = 0,
        follow: bool = False,
    ) -> Response[bytes]:
        """Return bytes from an offset; with follow, go on until the job has ended."""
        if follow:
            return await _follow(house, reader, job, Stream.STDOUT, offset, rank)
        return await _read(house, reader, job, Stream.STDOUT, offset, limit, attempt, rank)

    @get("/stderr", summary="Standard error of a job", media_type=TEXT)
    async def stderr(
        self,
        house: House,
        reader: Identity,
        job: JobNumber,
        offset: Offset = 0,
        limit: Limit = MOST_A_READ,
        attempt: Attempt = None,
        rank: Rank = 0,
        follow: bool = False,
    ) -> Response[bytes]:
        """Return bytes from an offset; with follow, go on until the job has ended."""
        if follow:
            return await _follow(house, reader, job, Stream.STDERR, offset, rank)
        return await _read(house, reader, job, Stream.STDERR, offset, limit, attempt, rank)


async def _read(
    house: House,
    who: Identity,
    job: int,
    stream: Stream,
    offset: int,
    limit: int,
    attempt: int | None,
    rank: int,
) -> Response[bytes]:
    chunk = await house.outputs.read(
        who, job, stream, offset=offset, limit=limit, attempt=attempt, rank=rank
    )
    headers = {
        "Gristmill-Next-Offset": str(chunk.next_offset),
        "Gristmill-Ended": "true" if chunk.ended else "false",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(chunk.data, media_type=TEXT, headers=headers)


async def _follow(
    house: House, who: Identity, job: int, stream: Stream, offset: int, rank: int
) -> Response[bytes]:
    await house.listing.get(who, job)
    chunks = house.outputs.follow(who, job, stream, offset=offset, rank=rank)
    return StreamResponse(chunks, media_type=TEXT)  # type: ignore[return-value]


class EventRoutes(Controller):
    """What happens, as server-sent events."""

    path = "/v1/events"
    tags = ("events",)

    @get(summary="Follow events", media_type="text/event-stream")
    async def events(
        self,
        request: AnyRequest,
        house: House,
        reader: Identity,
        after: Annotated[int | None, Parameter(ge=0, le=(1 << 63) - 1)] = None,
        job: Annotated[int | None, Parameter(ge=1, le=(1 << 63) - 1)] = None,
        kind: Annotated[str, Parameter(max_length=100)] = "",
    ) -> Response[bytes]:
        """Stream events from now on, or after the id in Last-Event-ID or ``after``."""
        start = after if after is not None else _last_seen(request)
        if start is None:
            start = await house.events.last()
        stream = house.events.stream(reader, start, job=job, kind=kind, idle=KEEP_ALIVE)
        return StreamResponse(  # type: ignore[return-value]
            _write(stream),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache"},
        )


def _last_seen(request: AnyRequest) -> int | None:
    text = request.headers.get("last-event-id")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInputError(f"{text[:40]!r} is not an event's id", "Last-Event-ID")
    return int(text)


async def _write(events: AsyncIterator[Event | None]) -> AsyncIterator[bytes]:
    yield b": hello\n\n"
    async for event in events:
        if event is None:
            yield b": still here\n\n"
        else:
            view = EventView(
                event.id,
                datetime.fromtimestamp(event.at, UTC),
                event.kind,
                event.jobs,
                event.data,
            )
            yield b"id: %d\nevent: %b\ndata: %b\n\n" % (
                event.id,
                event.kind.encode(),
                _encode(view),
            )
