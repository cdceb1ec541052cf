"""What people do to jobs that are already there: cancel, retry, forget."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.outcome import CANCEL_REASONS
from gristmill.domain.state import HELD, TERMINAL, JobState, Trigger, allowed
from gristmill.protocol.messages import Held
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.cycles import find_cycle, takes_part
from gristmill.services.queue.flow import bound
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.live_keys import LiveKeys
from gristmill.services.queue.registry import Registry
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, delete_jobs, get_specs
from gristmill.store.mail import renew_notifications


class Changed(NamedTuple):
    """Which jobs were changed, and the states of those that could not be."""

    ids: list[int]
    unchanged: dict[int, JobState]


class Control:
    """Cancel, retry and forget jobs of one's own; an admin's reach is everybody's."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry

    async def cancel(self, who: Identity, ids: Sequence[int]) -> Changed:
        """End jobs. One that runs is ended by its agent; its state changes when it is gone.

        Raises NotFoundError when a job does not exist for this caller.
        """
        return await self._core.database.write(lambda tx: self._cancel(tx, who, ids))

    async def retry(self, who: Identity, ids: Sequence[int]) -> Changed:
        """Put ended jobs back with a fresh retry budget, and delayed ones forward.

        Raises ConflictError, and changes nothing, when another live job stands for the key of
        one, or one would wait for itself.
        """
        return await self._core.database.write(lambda tx: self._retry(tx, who, ids))

    async def forget(self, who: Identity, job: int) -> None:
        """Delete an ended job with its history and output. Raises ConflictError if active."""
        paths = await self._core.database.write(lambda tx: self.delete(tx, who, job))
        for path in paths:
            self._core.outputs.remove(path)

    def delete(self, tx: Transaction, who: Identity, job: int) -> list[str]:
        """Delete an ended job in a transaction; return its output files, now nobody's."""
        ledger = Ledger(self._core, tx, self._core.chance.now())
        (head,) = self._own(tx, ledger, who, [job])
        if head.state not in TERMINAL:
            raise ConflictError(f"job {job} is {head.state.word}: cancel it first")
        if head.state is JobState.BURIED:
            ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)
            ledger.close()
            ledger = Ledger(self._core, tx, self._core.chance.now())
            (head,) = ledger.load([job])
        ledger.forget(head)
        ledger.close()
        return delete_jobs(tx, [job])

    def _cancel(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> Changed:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        changed = self.end(ledger, self._own(tx, ledger, who, ids))
        ledger.close()
        return changed

    def end(self, ledger: Ledger, heads: Iterable[JobHead], *, wish: int = 1) -> Changed:
        """Cancel jobs in a transaction. wish: a key of CANCEL_REASONS, why."""
        tx, changed = ledger.tx, list[int]()
        unchanged: dict[int, JobState] = {}
        kills: defaultdict[int, list[Held]] = defaultdict(list)
        for head in heads:
            if head.state in {JobState.RESERVED, JobState.RUNNING}:
                ledger.request_cancel(head, wish)
                self._collect_kills(tx, head, kills)
            elif allowed(Trigger.CANCEL, head.state):
                head.reason, head.ended_at = CANCEL_REASONS[wish], ledger.now
                self._collect_kills(tx, head, kills)
                tx.run("delete_gang_members", job=head.id)
                ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)
            else:
                unchanged[head.id] = head.state
                continue
            changed.append(head.id)
        tx.after_commit(lambda: self._order(kills))
        return Changed(changed, unchanged)

    def _collect_kills(self, tx: Transaction, head: JobHead, kills: dict[int, list[Held]]) -> None:
        if head.state not in HELD:
            return
        for agent, held in holders(tx, head):
            kills.setdefault(agent, []).append(held)

    def _order(self, kills: dict[int, list[Held]]) -> None:
        for agent, held in kills.items():
            self._registry.order_kill(agent, held)

    def _retry(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> Changed:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        changed: list[int] = []
        unchanged: dict[int, JobState] = {}
        heads = self._own(tx, ledger, who, ids)
        specs = get_specs(tx, [head.id for head in heads])
        keys = LiveKeys(tx)
        not_alone = bound(tx, heads)
        for head in heads:
            if head.id in not_alone or not allowed(Trigger.RETRY, head.state):
                unchanged[head.id] = head.state
                continue
            spec = specs[head.id]
            if spec.key is not None and head.state in TERMINAL:
                _claim(keys, head, spec.key)
            head.retries_left, head.failures = spec.retry.retries, 0
            head.ready_at = head.started_at = head.ended_at = None
            head.exit_code = head.reason = head.agent_id = None
            target = JobState.WAITING if head.unmet else JobState.READY
            if spec.queue_timeout is not None:
                ledger.set_deadline(head, ledger.now + spec.queue_timeout)
            ledger.move(head, Trigger.RETRY, target)
            changed.append(head.id)
        ledger.close()
        waited_for = [(job, job) for job in changed if specs[job].notify]
        if waited_for:
            renew_notifications(tx, waited_for)
            tx.after_commit(self._core.signals.notify.set)
        back = [job for job in changed if takes_part(specs[job])]
        cycle = find_cycle(self._core, tx, back)
        if cycle is not None:
            raise ConflictError(f"job {cycle[0]} would wait for itself: {cycle[1]}")
        return Changed(changed, unchanged)

    def _own(
        self, tx: Transaction, ledger: Ledger, who: Identity, ids: Sequence[int]
    ) -> list[JobHead]:
        heads = ledger.load(ids)
        if not who.admin:
            owner = self._core.words.find(tx, who.user)
            heads = [head for head in heads if head.owner_id == owner]
        found = {head.id for head in heads}
        for job in ids:
            if job not in found:
                raise NotFoundError(f"there is no job {job}")
        return heads


def _claim(keys: LiveKeys, head: JobHead, key: str) -> None:
    other = keys.claim(head, key)
    if other is not None:
        raise ConflictError(
            f"job {head.id} cannot be retried: job {other} stands for the same key {key!r}; "
            f"cancel that one first"
        )


def holders(tx: Transaction, head: JobHead) -> list[tuple[int, Held]]:
    """Return the agents that have a job, each with the member it has."""
    members = tx.all("get_gang_members", job=head.id, attempt=head.attempt)
    return [
        (agent, Held(head.id, head.attempt, rank))
        for rank, agent, finished in members or [(0, head.agent_id, 0)]
        if agent is not None and not finished
    ]
