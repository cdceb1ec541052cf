"""What happens, as it happens: a stream that can be resumed from any event."""

from collections.abc import AsyncGenerator
from functools import partial

from gristmill.domain.identity import Identity
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.events import Event, events_after, last_event, workflow_of
from gristmill.store.jobs import get_heads
from gristmill.store.workflows import get_workflows

MOST_A_READ = 500
HIDDEN = "hidden"


class Events:
    """Reads the record of events; listeners are woken when it grows."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def last(self) -> int:
        """Return the id of the newest event."""
        return await self._core.database.read(last_event)

    async def stream(
        self, who: Identity, after: int, *, job: int | None, kind: str, idle: float
    ) -> AsyncGenerator[Event | None, None]:
        """Yield what follows the event with id after, for ever; None after idle seconds of rest.

        job: only events of this job. kind: prefix of the kinds wanted. Who is not an
        administrator sees only events of own jobs.
        """
        clock = self._core.chance.monotonic
        spoken = clock()
        while not self._core.signals.closing:
            waiting = self._core.signals.waiting_for_events()
            events = await self._core.database.read(partial(self._read, who=who, after=after))
            for event in events:
                after = event.id
                if event.kind == HIDDEN or not event.kind.startswith(kind):
                    continue
                if job is None or job in event.jobs:
                    spoken = clock()
                    yield event
            came = bool(events) or await waiting(idle)
            # Much may happen that this listener does not get: it still hears that we are here.
            if not came or clock() - spoken >= idle:
                spoken = clock()
                yield None

    def _read(self, tx: Transaction, who: Identity, after: int) -> list[Event]:
        events = events_after(tx, after, MOST_A_READ)
        if who.admin:
            return events
        owner = self._core.words.find(tx, who.user)
        jobs = sorted({job for event in events for job in event.jobs})
        own = {head.id for head in get_heads(tx, jobs) if head.owner_id == owner}
        workflows = get_workflows(tx, sorted(filter(None, map(workflow_of, events))))
        own_workflows = {row.id for row in workflows.values() if row.owner_id == owner}
        seen = []
        for event in events:
            mine = [job for job in event.jobs if job in own]
            # An event without any job of the caller's still moves the reader on.
            kind = event.kind if mine or workflow_of(event) in own_workflows else HIDDEN
            seen.append(Event(event.id, event.at, kind, mine, event.data))
        return seen
