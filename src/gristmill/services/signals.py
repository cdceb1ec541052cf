"""Who must be woken when something became true. Signals carry no facts: those are in the store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from gristmill.services.waiting import wait_for


class Signals:
    """Wake-ups inside one server, all on its event loop."""

    def __init__(self) -> None:
        self.ready_shapes: set[int] = set()
        self.work = asyncio.Event()
        self.timer = asyncio.Event()
        self.notify = asyncio.Event()
        self.closing = False
        self._events_changed = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any longer, for the server stops."""
        self.closing = True
        self.events()

    def ready(self, shapes: Iterable[int]) -> None:
        """Say that jobs of these shapes may have become ready."""
        self.ready_shapes.update(shapes)
        self.work.set()

    def events(self) -> None:
        """Say that new events are in the store."""
        self._events_changed.set()
        self._events_changed = asyncio.Event()

    def waiting_for_events(self) -> Callable[[float], Awaitable[bool]]:
        """Return a wait for events that are recorded from now on: whether any came in time."""
        changed = self._events_changed
        return lambda seconds: wait_for(changed, seconds)
