"""Waiting that tests can see through."""

import asyncio


async def pause(seconds: float) -> None:
    """Wait between two tries of something that failed."""
    await asyncio.sleep(seconds)


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Return whether the event came within seconds (None: wait for ever)."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
