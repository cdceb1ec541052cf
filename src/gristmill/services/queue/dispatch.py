"""Jobs go out: the one loop that leases ready jobs to the agents that wait for work."""

import structlog

from gristmill.domain.errors import UnavailableError
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Lease
from gristmill.services.queue.claim import MOST_A_CLAIM, Claim, Rank
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.impossible import Impossible
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import LiveAgent, Registry
from gristmill.services.waiting import pause
from gristmill.store.database import Transaction

PAUSE_AFTER_FAILURE = 0.5
"""Seconds before the next try when the store could not answer."""

log = structlog.get_logger()


class Dispatcher:
    """Matches ready jobs with waiting agents, event driven: an idle queue costs nothing."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry
        self._heads: dict[int, Rank] = {}
        self._blocked_since: dict[int, float] = {}
        self._orphans: list[Lease] = []
        self._impossible = Impossible(core, registry)

    async def run(self) -> None:
        """Lease until cancelled."""
        signals = self._core.signals
        while True:
            await signals.work.wait()
            try:
                await self.round()
            except UnavailableError:
                await pause(PAUSE_AFTER_FAILURE)
                signals.work.set()

    async def round(self) -> None:
        """Lease what fits to the agents that wait now. Raises UnavailableError."""
        signals = self._core.signals
        signals.work.clear()
        agents = self._registry.waiting()
        if agents and (signals.ready_shapes or self._heads):
            await self._lease(agents)
        if self._orphans:
            await self._take_back()

    async def _lease(self, agents: list[LiveAgent]) -> None:
        signals = self._core.signals
        fresh = frozenset(signals.ready_shapes)
        signals.ready_shapes.clear()
        claim = Claim(self._core, agents, dict(self._heads), fresh, self._blocked_since)
        try:
            rooms = await self._core.database.write(claim.run)
        except UnavailableError:
            signals.ready_shapes.update(fresh)
            raise
        self._heads = claim.heads
        for room in rooms:
            if self._registry.find(room.agent.row.id) is not room.agent:
                self._orphans.extend(room.leases)
            elif room.leases:
                self._registry.answer(room.agent, room.leases)
        if claim.taken >= MOST_A_CLAIM:
            signals.work.set()
        self._impossible.joined(fresh)
        await self._impossible.bury(list(self._blocked_since))

    async def _take_back(self) -> None:
        """Return to ready what was leased to an agent that registered anew meanwhile."""
        attempts = {lease.job: lease.attempt for lease in self._orphans}

        def work(tx: Transaction) -> None:
            ledger = Ledger(self._core, tx, self._core.chance.now())
            for head in ledger.load(attempts):
                if head.state is JobState.RESERVED and head.attempt == attempts[head.id]:
                    ledger.give_back(head)
            ledger.close()

        await self._core.database.write(work)
        self._orphans = []
