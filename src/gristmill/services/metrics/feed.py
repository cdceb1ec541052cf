"""Points as they come in, for those who watch."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from gristmill.domain.identity import Identity
from gristmill.domain.metrics import NewPoint
from gristmill.services.waiting import wait_for

MOST_KEPT = 10_000
"""Points that wait for a slow watcher; of more, the oldest are left out: all are in the store."""


class _Watcher:
    def __init__(self, who: Identity, source: str) -> None:
        self.who, self.source = who, source
        self.points: deque[NewPoint] = deque(maxlen=MOST_KEPT)
        self.came = asyncio.Event()


class Feed:
    """Hands what was committed to the watchers of its source."""

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()
        self._closing = False

    def close(self) -> None:
        """Let nobody wait any longer, for the server stops."""
        self._closing = True
        for watcher in self._watchers:
            watcher.came.set()

    def publish(self, who: Identity, points: Sequence[NewPoint]) -> None:
        """Pass points on; each watcher sees the sources of its user, or of a job it may see."""
        for watcher in self._watchers:
            mine = watcher.who.user == who.user or watcher.source.startswith("job:")
            if mine:
                watcher.points.extend(new for new in points if new.source == watcher.source)
                if watcher.points:
                    watcher.came.set()

    async def watch(
        self, who: Identity, source: str, idle: float
    ) -> AsyncGenerator[list[NewPoint], None]:
        """Yield what comes in, for ever; an empty list after idle seconds of rest.

        The right to see a job is checked by the caller.
        """
        watcher = _Watcher(who, source)
        self._watchers.add(watcher)
        try:
            while not self._closing:
                await wait_for(watcher.came, idle)
                watcher.came.clear()
                points = list(watcher.points)
                watcher.points.clear()
                yield points
        finally:
            self._watchers.discard(watcher)
