"""Why a job is not running yet, or how it ended: a sentence for people."""

from gristmill.domain.dialect import RUNS
from gristmill.domain.shape import suits
from gristmill.domain.state import JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.registry import LiveAgent, Registry
from gristmill.services.schedules.reasons import why_held, why_offered
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobRow
from gristmill.store.words import public


def explain(core: QueueCore, registry: Registry, tx: Transaction, row: JobRow) -> str:
    """Return the sentence."""
    head = row.head
    match head.state:
        case JobState.WAITING:
            return why_held(tx, head.id) if head.dialect in RUNS else _why_waiting(tx, head.id)
        case JobState.DELAYED:
            after = f" after: {head.reason}" if head.reason else ""
            return f"waits for its time{after}"
        case JobState.READY:
            if head.parked:
                return f"another job holds the mutex {row.spec.mutex!r}"
            if head.dialect in RUNS and not _able(core, registry, head.shape_id):
                return why_offered(tx, head.id)
            return _why_ready(core, registry, head.shape_id)
        case JobState.RESERVED:
            return "an agent has it and will start it next"
        case JobState.RUNNING:
            return "being cancelled" if head.cancel_requested else "running"
        case JobState.COMPLETE:
            return "succeeded"
        case _:
            return head.reason or head.state.word


def _why_ready(core: QueueCore, registry: Registry, number: int) -> str:
    shape = core.shapes.by_id[number]
    agents = registry.all()
    if not agents:
        return "no agent is connected"
    able = _able(core, registry, number)
    if not able:
        return "no connected agent has the pool, labels or container engine it asks for"
    if not any(agent.row.capacity.fits(shape.need) for agent in able):
        return "asks for more than any connected agent has"
    if all(agent.draining for agent in able):
        return "every agent that could run it is draining"
    return "waits for room on an agent"


def placeable(core: QueueCore, registry: Registry, number: int) -> bool:
    """Whether some connected agent could run jobs of this shape, once it has nothing else.

    While no agent is connected at all, nothing speaks against it.
    """
    need = core.shapes.by_id[number].need
    return not registry.all() or any(
        agent.row.capacity.fits(need) for agent in _able(core, registry, number)
    )


def _able(core: QueueCore, registry: Registry, number: int) -> list[LiveAgent]:
    shape = core.shapes.by_id[number]
    return [
        agent
        for agent in registry.all()
        if suits(
            shape,
            pools=agent.pools,
            labels=agent.labels,
            runtimes=agent.row.runtimes,
        )
    ]


def _why_waiting(tx: Transaction, job: int) -> str:
    parts = [
        f"job {on} ({JobState(state).word})"
        for on, state in tx.all("get_unmet_jobs", job=job, most=5)
    ]
    parts += [
        f"group {public(name)!r} ({live} unfinished)"
        for name, live in tx.all("get_unmet_groups", job=job, most=5)
    ]
    return "waits for " + (", ".join(parts) or "a dependency")
