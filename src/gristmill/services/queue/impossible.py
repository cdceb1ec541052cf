"""Jobs that ask for more than any node has: those that would rather fail than wait are buried."""

from collections.abc import Iterable
from functools import partial

from gristmill.domain.outcome import IMPOSSIBLE
from gristmill.domain.shape import Shape, suits
from gristmill.domain.state import JobState, Trigger
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import Registry
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_specs, take_ready

MOST_AT_ONCE = 1_000


class Impossible:
    """Looks at shapes whose jobs fit nowhere now, once for each time that jobs join them."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry
        self._patient: set[int] = set()

    def joined(self, shapes: Iterable[int]) -> None:
        """Take note that these shapes have new jobs."""
        self._patient.difference_update(shapes)

    async def bury(self, blocked: Iterable[int]) -> None:
        """Bury what can never run of the shapes that fit nowhere. Raises UnavailableError."""
        for number in blocked:
            if number not in self._patient and self._beyond_all(self._core.shapes.by_id[number]):
                self._patient.add(number)
                await self._core.database.write(partial(self._bury, number))

    def _beyond_all(self, shape: Shape) -> bool:
        """Whether there are agents for the shape, and none of them is large enough."""
        able = [
            agent.row.capacity
            for agent in self._registry.all()
            if suits(
                shape,
                pools=agent.pools,
                labels=agent.labels,
                runtimes=agent.row.runtimes,
            )
        ]
        return bool(able) and not any(capacity.fits(shape.need) for capacity in able)

    def _bury(self, number: int, tx: Transaction) -> None:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        ready = [head for head, _ in take_ready(tx, number, MOST_AT_ONCE)]
        specs = get_specs(tx, [head.id for head in ready])
        for head in ready:
            if specs[head.id].bury_impossible:
                ledger.adopt(head)
                head.reason, head.ended_at = IMPOSSIBLE, ledger.now
                ledger.move(head, Trigger.EXPIRE, JobState.BURIED)
        ledger.close()
        if len(ready) == MOST_AT_ONCE and all(specs[head.id].bury_impossible for head in ready):
            tx.after_commit(lambda: self._core.signals.ready({number}))
        text = f"jobs ask for more than any node has: {_amounts(self._core.shapes.by_id[number])}"
        tx.after_commit(lambda: self._core.notices.note(text, ledger.now))


def _amounts(shape: Shape) -> str:
    return (
        f"{shape.cpu_shares / 1000:g} cores, {shape.memory} MB of memory, "
        f"{shape.disk} MB of disk, {shape.gpus} GPUs"
    )
