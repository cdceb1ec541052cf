"""Tells open pages that they are out of date; what changed they then fetch as pages again."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from litestar import Response, get
from litestar.params import Parameter
from litestar.response import Stream

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.services.house import House
from gristmill.services.waiting import pause
from gristmill.web.sessions import Sessions, Visitor

GATHER = 0.3
"""Seconds in which events are gathered into one message: a page needs no more than a few a second."""

KEEP_ALIVE = 15.0

Job = Annotated[int | None, Parameter(ge=1, le=(1 << 63) - 1)]


@get("/ui/events", media_type="text/event-stream")
async def events(
    house: House, sessions: Sessions, visitor: Visitor, job: Job = None
) -> Response[bytes]:
    """Stream a message whenever something that the visitor sees has changed."""
    return Stream(  # type: ignore[return-value]
        changes(house, sessions, visitor, job),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


async def changes(
    house: House, sessions: Sessions, visitor: Visitor, job: int | None
) -> AsyncIterator[bytes]:
    """Yield server-sent events until the visitor's credential ends."""
    after = await house.events.last()
    yield b"retry: 2000\n\n"
    while True:
        async for comment in _rest(house, visitor, after, job):
            yield comment
        await pause(GATHER)
        try:
            visitor = await sessions.renewed(visitor.session)
        except NotAuthenticatedError:
            return
        # Read before the page is told: what comes after this makes the next message.
        after = await house.events.last()
        yield b"id: %d\nevent: change\ndata: {}\n\n" % after


async def _rest(
    house: House, visitor: Visitor, after: int, job: int | None
) -> AsyncIterator[bytes]:
    """Yield comments until the first event after this one."""
    stream = house.events.stream(visitor.who, after, job=job, kind="", idle=KEEP_ALIVE)
    async with aclosing(stream):  # type: ignore[type-var]
        async for event in stream:
            if event is not None:
                return
            yield b": still here\n\n"
