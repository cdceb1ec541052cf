"""Waiting for a job to end, without polling."""

from gristmill.domain.identity import Identity
from gristmill.domain.state import TERMINAL
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.listing import Listing
from gristmill.services.queue.views import Listed

LONGEST_WAIT = 60.0


class Waits:
    """Answers when jobs end."""

    def __init__(self, core: QueueCore, listing: Listing) -> None:
        self._core, self._listing = core, listing

    async def until_ended(self, who: Identity, job: int, seconds: float) -> Listed:
        """Return the job once it has ended, or as it is after that many seconds."""
        clock = self._core.chance.monotonic
        deadline = clock() + min(seconds, LONGEST_WAIT)
        while True:
            changed = self._core.signals.waiting_for_events()
            listed = await self._listing.get(who, job)
            left = deadline - clock()
            if listed.row.head.state in TERMINAL or left <= 0 or self._core.signals.closing:
                return listed
            await changed(left)
