"""/v1 replies that go on: output as it is written, events as they happen."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Controller, Response, get
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream as StreamResponse

from gristmill.domain.errors import NotAuthenticatedError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.native import documented
from gristmill.native.access import Caller, TheHouse, identify
from gristmill.native.jobs import JobNumber
from gristmill.native.parameters import LARGEST, AnyRequest
from gristmill.native.wire import EventView
from gristmill.protocol.messages import Stream
from gristmill.services.house import House
from gristmill.services.outputs import MOST_A_READ
from gristmill.store.events import Event

KEEP_ALIVE = 15.0
LARGEST_OFFSET = 1 << 62
MOST_AT_ONCE = 64 << 20
TEXT = "text/plain"
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode

Offset = Annotated[int, QueryParameter(ge=0, le=LARGEST_OFFSET, description="bytes to skip")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_AT_ONCE, description="bytes at most")]
Attempt = Annotated[
    int | None, QueryParameter(ge=0, le=1 << 31, description="its number; else the last one")
]
Rank = Annotated[int, QueryParameter(ge=0, le=10_000, description="member of a gang")]
Follow = Annotated[bool, QueryParameter(description="go on until the job has ended")]


class OutputRoutes(Controller):
    """What jobs wrote."""

    path = "/v1/jobs/{job:int}"
    tags = ("output",)

    @get(
        "/stdout",
        summary="Standard output of a job",
        media_type=TEXT,
        response_headers=documented.OUTPUT_HEADERS,
    )
    async def stdout(
        self,
        request: AnyRequest,
        house: TheHouse,
        reader: Caller,
        job: JobNumber,
        offset: Offset = 0,
        limit: Limit = MOST_A_READ,
        attempt: Attempt = None,
        rank: Rank = 0,
        follow: Follow = False,
    ) -> Response[bytes]:
        """Return bytes from an offset; with follow, go on until the job has ended."""
        where: dict[str, Any] = {"offset": offset, "attempt": attempt, "rank": rank}
        if follow:
            return await _follow(request, house, reader, job, Stream.STDOUT, where)
        return await _read(house, reader, job, Stream.STDOUT, limit, where)

    @get(
        "/stderr",
        summary="Standard error of a job",
        media_type=TEXT,
        response_headers=documented.OUTPUT_HEADERS,
    )
    async def stderr(
        self,
        request: AnyRequest,
        house: TheHouse,
        reader: Caller,
        job: JobNumber,
        offset: Offset = 0,
        limit: Limit = MOST_A_READ,
        attempt: Attempt = None,
        rank: Rank = 0,
        follow: Follow = False,
    ) -> Response[bytes]:
        """Return bytes from an offset; with follow, go on until the job has ended."""
        where: dict[str, Any] = {"offset": offset, "attempt": attempt, "rank": rank}
        if follow:
            return await _follow(request, house, reader, job, Stream.STDERR, where)
        return await _read(house, reader, job, Stream.STDERR, limit, where)


async def _read(
    house: House, who: Identity, job: int, stream: Stream, limit: int, where: dict[str, Any]
) -> Response[bytes]:
    chunk = await house.outputs.read(who, job, stream, limit=limit, **where)
    headers = {
        "Gristmill-Next-Offset": str(chunk.next_offset),
        "Gristmill-Ended": "true" if chunk.ended else "false",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(chunk.data, media_type=TEXT, headers=headers)


async def _follow(
    request: AnyRequest,
    house: House,
    who: Identity,
    job: int,
    stream: Stream,
    where: dict[str, Any],
) -> Response[bytes]:
    # The first look tells what does not exist while the reply can still be an error.
    await house.outputs.read(who, job, stream, limit=1, **where)
    chunks = while_welcome(request, house.outputs.follow(who, job, stream, **where))
    return StreamResponse(  # type: ignore[return-value]
        chunks, media_type=TEXT, headers={"X-Content-Type-Options": "nosniff"}
    )


async def while_welcome(request: AnyRequest, source: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    """Yield what source does; end when the credential has ended, or the job was forgotten."""
    house: House = request.app.state.house
    async with aclosing(source):
        try:
            async for value in source:
                await identify(house, request.headers)
                yield value
        except (NotAuthenticatedError, NotFoundError):
            return


EventNumber = Annotated[
    int | None, QueryParameter(ge=0, le=LARGEST, description="id of the event to go on behind")
]

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        pattern=r"^[0-9]{0,18}$",
        description="as after, and stronger: browsers send it when they come back",
    ),
]


class EventRoutes(Controller):
    """What happens, as server-sent events."""

    path = "/v1/events"
    tags = ("events",)

    @get(summary="Follow events", media_type="text/event-stream")
    async def events(
        self,
        request: AnyRequest,
        house: TheHouse,
        reader: Caller,
        last_event_id: LastEventId = None,
        after: EventNumber = None,
        job: Annotated[
            int | None, QueryParameter(ge=1, le=LARGEST, description="only events of this job")
        ] = None,
        kind: Annotated[
            str, QueryParameter(max_length=100, description="how the kinds wanted begin")
        ] = "",
    ) -> Response[bytes]:
        """Stream events from now on, or after the id in Last-Event-ID or ``after``."""
        if job is not None:
            await house.listing.get(reader, job)
        start = int(last_event_id) if last_event_id else after
        if start is None:
            start = await house.events.last()
        stream = house.events.stream(reader, start, job=job, kind=kind, idle=KEEP_ALIVE)
        return StreamResponse(  # type: ignore[return-value]
            _write(while_welcome(request, stream)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )


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
