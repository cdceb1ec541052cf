"""Tells open pages that they are out of date; what changed they then fetch as pages again."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter
from litestar.response import Stream

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.services.house import House
from gristmill.services.waiting import pause
from gristmill.web.sessions import Sessions, Visitor
from gristmill.web.visit import TheHouse, TheSessions, TheVisitor

GATHER = 0.5
"""Seconds in which events are gathered into one message."""

KEEP_ALIVE = 15.0

Job = Annotated[int | None, QueryParameter(ge=1, le=(1 << 63) - 1)]


@get("/ui/events", media_type="text/event-stream")
async def events(
    house: TheHouse, sessions: TheSessions, visitor: TheVisitor, job: Job = None
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
    """Yield server-sent events until the visitor's credential ends, or the server."""
    after = await house.events.last()
    yield b"retry: 2000\n\n"
    changed = True
    while changed:
        changed = False
        stream = house.events.stream(visitor.who, after, job=job, kind="", idle=KEEP_ALIVE)
        async with aclosing(stream):
            async for event in stream:
                changed = event is not None
                if changed:
                    break
                yield b": still here\n\n"
        if changed:
            await pause(GATHER)
            try:
                visitor = await sessions.renewed(visitor.session)
            except NotAuthenticatedError:
                return
            # Read before the page is told: what comes after this makes the next message.
            after = await house.events.last()
            yield b"id: %d\nevent: change\ndata: {}\n\n" % after
