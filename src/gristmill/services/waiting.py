"""Waiting that tests can see through."""

import asyncio
from collections.abc import Awaitable, Callable

from gristmill.domain.errors import UnavailableError

HOUR = 3_600.0
PAUSE_AFTER_FAILURE = 1.0


async def pause(seconds: float) -> None:
    """Wait between two tries of something that failed."""
    await asyncio.sleep(seconds)


async def every_hour(work: Callable[[], Awaitable[None]]) -> None:
    """Do work every hour until cancelled, and soon again while the database is away."""
    while True:
        try:
            await work()
        except UnavailableError:
            await pause(PAUSE_AFTER_FAILURE)
        else:
            await pause(HOUR)


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Return whether the event came within seconds (None: wait for ever)."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
