"""Ending jobs for good: kill what runs, settle what is lost, remove what nobody waits for."""

from collections import defaultdict
from collections.abc import Sequence

from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.outcome import CANCELLED_BY_USER, LOST
from gristmill.domain.state import ACTIVE, JobState, Trigger
from gristmill.services.queue.control import holders
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.failure import fail
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.views import Listed, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, delete_jobs, get_rows, get_specs

_NOT_REMOVABLE = frozenset({JobState.RUNNING, JobState.COMPLETE})


class Removal:
    """Acts on those of the jobs named that are in a fitting state, and skips the others."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry

    async def kill(self, who: Identity, ids: Sequence[int]) -> list[Listed]:
        """Have running and reserved jobs ended by their agents; return them as they are now."""
        return await self._core.database.write(lambda tx: self._kill(tx, who, ids))

    async def end_active(self, who: Identity, ids: Sequence[int], dialect: Dialect) -> list[int]:
        """Cancel those that have not ended, in one go; return the ids of those it was done to."""
        return await self._core.database.write(lambda tx: self._end_active(tx, who, ids, dialect))

    async def confirm_lost(self, who: Identity, ids: Sequence[int]) -> list[Listed]:
        """Take lost jobs for dead: retried or buried as their policy says."""
        return await self._core.database.write(lambda tx: self._confirm_lost(tx, who, ids))

    async def remove(self, who: Identity, ids: Sequence[int]) -> list[Listed]:
        """Delete jobs that neither run nor are complete; return them as they were.

        A job that others wait for stays, unless all of those go with it.
        """
        removed, paths = await self._core.database.write(lambda tx: self._remove(tx, who, ids))
        for path in paths:
            self._core.outputs.remove(path)
        return removed

    def _kill(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> list[Listed]:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        heads = [
            head
            for head in self._own(tx, ledger, who, ids)
            if head.state in {JobState.RUNNING, JobState.RESERVED}
        ]
        for head in heads:
            ledger.request_cancel(head)
            self._order_kill(tx, head)
        ledger.close()
        return self._views(tx, [head.id for head in heads])

    def _end_active(
        self, tx: Transaction, who: Identity, ids: Sequence[int], dialect: Dialect
    ) -> list[int]:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        heads = [
            head
            for head in self._own(tx, ledger, who, ids)
            if head.state in ACTIVE and not head.cancel_requested and head.dialect == dialect
        ]
        for head in heads:
            self._order_kill(tx, head)
            if head.state in {JobState.RUNNING, JobState.RESERVED}:
                ledger.request_cancel(head)
            else:
                head.reason, head.ended_at = CANCELLED_BY_USER, ledger.now
                tx.run("delete_gang_members", job=head.id)
                ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)
        ledger.close()
        return [head.id for head in heads]

    def _confirm_lost(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> list[Listed]:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        heads = [head for head in self._own(tx, ledger, who, ids) if head.state is JobState.LOST]
        views = self._views(tx, [head.id for head in heads])
        specs = get_specs(tx, [head.id for head in heads])
        for head in heads:
            self._order_kill(tx, head)
            fail(self._core, ledger, head, specs[head.id], None, LOST)
        ledger.close()
        return views

    def _remove(
        self, tx: Transaction, who: Identity, ids: Sequence[int]
    ) -> tuple[list[Listed], list[str]]:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        heads = {
            head.id: head
            for head in self._own(tx, ledger, who, ids)
            if head.state not in _NOT_REMOVABLE
        }
        gone = _without_dependents(tx, list(heads))
        views = self._views(tx, gone)
        for job in gone:
            self._order_kill(tx, heads[job])
        return views, _delete(self._core, ledger, [heads[job] for job in gone])

    def _order_kill(self, tx: Transaction, head: JobHead) -> None:
        registry = self._registry
        for agent, held in holders(tx, head):
            tx.after_commit(
                lambda agent=agent, held=held: registry.order_kill(agent, [held])  # type: ignore[misc]
            )

    def _own(
        self, tx: Transaction, ledger: Ledger, who: Identity, ids: Sequence[int]
    ) -> list[JobHead]:
        heads = ledger.load(ids)
        if who.admin:
            return heads
        owner = self._core.words.find(tx, who.user)
        return [head for head in heads if head.owner_id == owner]

    def _views(self, tx: Transaction, ids: Sequence[int]) -> list[Listed]:
        rows = get_rows(tx, ids)
        return [listed(self._core, tx, rows[job]) for job in ids]


def forget_buried(core: QueueCore, tx: Transaction, ids: list[int]) -> list[str]:
    """Delete buried jobs that nobody waits for, in a transaction; return their output files."""
    ledger = Ledger(core, tx, core.chance.now())
    heads = [head for head in ledger.load(ids) if head.state is JobState.BURIED]
    gone = set(_without_dependents(tx, [head.id for head in heads]))
    return _delete(core, ledger, [head for head in heads if head.id in gone])


def _delete(core: QueueCore, ledger: Ledger, heads: Sequence[JobHead]) -> list[str]:
    """Delete jobs for good; return their output files."""
    for head in heads:
        if head.state is not JobState.CANCELLED:
            ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)
    ledger.close()
    gone = [head.id for head in heads]
    after = Ledger(core, ledger.tx, ledger.now)
    for head in after.load(gone):
        after.forget(head)
    after.close()
    return delete_jobs(ledger.tx, gone) if gone else []


def _without_dependents(tx: Transaction, ids: list[int]) -> list[int]:
    """Return those that may go: nobody waits for them who does not go too."""
    if not ids:
        return []
    waiters: defaultdict[int, set[int]] = defaultdict(set)
    for statement in ("get_dependents", "get_group_dependents"):
        for job, waiter in tx.all(statement, ids=tx.array(ids)):
            waiters[job].add(waiter)
    going = set(ids)
    staying = [job for job in ids if not waiters[job] <= going]
    waited_for: defaultdict[int, list[int]] = defaultdict(list)
    for job, who_waits in waiters.items():
        for waiter in who_waits:
            waited_for[waiter].append(job)
    while staying:
        job = staying.pop()
        if job in going:
            going.discard(job)
            staying.extend(waited_for[job])
    return [job for job in ids if job in going]
