"""Jobs that ask for more than any node has: those that would rather fail than wait are buried."""

import asyncio
from collections.abc import Callable, Iterable

from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import IMPOSSIBLE
from gristmill.domain.shape import Shape, suits
from gristmill.domain.state import JobState, Trigger
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import LiveAgent, Registry
from gristmill.store.agents import AgentRow, get_agents
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_specs, take_ready

MOST_AT_ONCE = 1_000
ABSENCE = 60.0
"""Seconds an agent that is away may take to come back before nothing is expected of it."""

_EXPECTED_BACK = frozenset({"online", "draining", "lost"})

GRACE = 8.0
"""Seconds in which an agent may come (back) that could run what no other could."""

_Chosen = Callable[[JobSpec], bool]


class Impossible:
    """Looks at shapes whose jobs fit nowhere now, once for each time that jobs join them."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry
        self._patient: set[int] = set()
        self._away_since: dict[int, float] = {}
        self._not_before: dict[int, float] = {}
        self._kept: set[int] = set()
        self._unmatched_since: dict[int, float] = {}

    def joined(self, shapes: Iterable[int]) -> None:
        """Take note that these shapes have new jobs."""
        self._patient.difference_update(shapes)
        self._kept.difference_update(shapes)

    async def bury(self, blocked: Iterable[int]) -> None:
        """Bury what can never run of the shapes that fit nowhere. Raises UnavailableError.

        While an agent that is large enough is only away for a moment, its shapes are left alone
        and looked at again in a later round.
        """
        now = self._core.chance.monotonic()
        for number in blocked:
            shape = self._core.shapes.by_id[number]
            if number not in self._patient and await self._is_given_up(number, shape, now):
                self._patient.add(number)
                await self._bury_those(number, lambda spec: spec.bury_impossible)
                self._note(number)
            if number not in self._kept and self._is_unmatched(number, shape):
                self._kept.add(number)
                await self._bury_those(number, lambda spec: spec.fail_unmatched)

    async def _is_given_up(self, number: int, shape: Shape, now: float) -> bool:
        """Whether no node is large enough, and none that was is expected back."""
        if self._not_before.get(number, now) > now or not self._beyond_all(shape):
            return False
        until = self._away_until(shape, now, await self._core.database.read(get_agents))
        if until > now:
            self._not_before[number] = until
            return False
        self._not_before.pop(number, None)
        return True

    def _away_until(self, shape: Shape, now: float, known: Iterable[AgentRow]) -> float:
        """Return until when an absent agent may come back that could run the shape."""
        until = now
        for row in known:
            if row.state not in _EXPECTED_BACK or self._registry.find(row.id) is not None:
                self._away_since.pop(row.id, None)
                continue
            since = self._away_since.setdefault(row.id, now)
            if _is_able(row, shape) and row.capacity.fits(shape.need):
                until = max(until, since + ABSENCE)
        return until

    def _is_unmatched(self, number: int, shape: Shape) -> bool:
        """Whether for a while no agent that is there could ever run the shape.

        Without any agent nothing is known about what there will be, so that everything waits.
        """
        agents = self._registry.all()
        if not agents or self._could_ever(shape, agents):
            self._unmatched_since.pop(number, None)
            return False
        now = self._core.chance.monotonic()
        since = self._unmatched_since.get(number)
        if since is None:
            self._unmatched_since[number] = now
            asyncio.get_running_loop().call_later(GRACE, self._core.signals.work.set)
            return False
        return now - since >= GRACE

    def _could_ever(self, shape: Shape, agents: Iterable[LiveAgent]) -> bool:
        """Whether all members fit at once when nothing else runs."""
        places = 0
        for agent in agents:
            if self._suits(shape, agent):
                rest = agent.row.capacity.copy()
                while places < shape.nodes and rest.fits(shape.need):
                    rest.take(shape.need)
                    places += 1
        return places >= shape.nodes

    def _beyond_all(self, shape: Shape) -> bool:
        """Whether there are agents for the shape, and none of them is large enough."""
        able = [agent.row.capacity for agent in self._registry.all() if self._suits(shape, agent)]
        return bool(able) and not any(capacity.fits(shape.need) for capacity in able)

    def _suits(self, shape: Shape, agent: LiveAgent) -> bool:
        return suits(shape, pools=agent.pools, labels=agent.labels, runtimes=agent.row.runtimes)

    async def _bury_those(self, number: int, chosen: _Chosen) -> None:
        await self._core.database.write(lambda tx: self._bury(tx, number, chosen))

    def _note(self, number: int) -> None:
        amounts = _amounts(self._core.shapes.by_id[number])
        self._core.notices.note(
            f"jobs ask for more than any node has: {amounts}", self._core.chance.now()
        )

    def _bury(self, tx: Transaction, number: int, chosen: _Chosen) -> None:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        ready = [head for head, _ in take_ready(tx, number, MOST_AT_ONCE)]
        specs = get_specs(tx, [head.id for head in ready])
        for head in ready:
            if chosen(specs[head.id]):
                ledger.adopt(head)
                head.reason, head.ended_at = IMPOSSIBLE, ledger.now
                ledger.move(head, Trigger.EXPIRE, JobState.BURIED)
        ledger.close()
        if len(ready) == MOST_AT_ONCE and all(chosen(specs[head.id]) for head in ready):
            tx.after_commit(lambda: self._core.signals.ready({number}))


def _is_able(row: AgentRow, shape: Shape) -> bool:
    return suits(shape, pools=row.pools, labels=row.matched_labels, runtimes=row.runtimes)


def _amounts(shape: Shape) -> str:
    return (
        f"{shape.cpu_shares / 1000:g} cores, {shape.memory} MB of memory, "
        f"{shape.disk} MB of disk, {shape.gpus} GPUs"
    )
