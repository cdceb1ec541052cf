"""Time passes: delays end, queue timeouts strike, silent agents are lost, old jobs go."""

import math

from gristmill.domain.dialect import RUNS
from gristmill.domain.errors import UnavailableError
from gristmill.domain.outcome import QUEUE_TIMEOUT
from gristmill.domain.state import JobState, Trigger
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.search import KEPT_LISTED
from gristmill.services.waiting import PAUSE_AFTER_FAILURE, every_hour, pause, wait_for
from gristmill.store.database import Transaction
from gristmill.store.jobs import delete_jobs, ids_of
from gristmill.store.web_sessions import delete_expired
from gristmill.store.workflows import delete_workflow

MOST_AT_ONCE = 1_000
MOST_EVENTS = 10_000
KEEP_IDEMPOTENCY_KEYS = 7 * 86_400.0
"""Seconds after which an Idempotency-Key may mean something new."""


class Timers:
    """Moves jobs when their time comes; sleeps until the next one is due."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def run(self) -> None:
        """Act until cancelled."""
        signal = self._core.signals.timer
        while True:
            signal.clear()
            try:
                due = await self._core.database.write(self.act)
            except UnavailableError:
                await pause(PAUSE_AFTER_FAILURE)
                continue
            await wait_for(signal, _seconds_until(due, self._core.chance.now()))

    def act(self, tx: Transaction) -> float | None:
        """Do what is due; return when the next thing is, in epoch seconds."""
        now = self._core.chance.now()
        ledger = Ledger(self._core, tx, now)
        for head in ledger.load(ids_of(tx.all("get_due_delayed", now=now, most=MOST_AT_ONCE))):
            head.ready_at = None
            if head.dialect in RUNS:
                ledger.hold(head)
            else:
                ledger.move(head, Trigger.DELAY_OVER, JobState.READY)
        rows = tx.all("get_due_deadlines", now=now, most=MOST_AT_ONCE)
        for head in ledger.load(ids_of(rows)):
            head.reason, head.ended_at = QUEUE_TIMEOUT, now
            ledger.move(head, Trigger.EXPIRE, JobState.BURIED)
        ledger.close()
        times = [tx.must("get_next_delayed")[0], tx.must("get_next_deadline")[0]]
        return min((time for time in times if time is not None), default=None)


class Housekeeping:
    """Removes what is older than the retention settings allow; off by default."""

    def __init__(
        self, core: QueueCore, *, keep_jobs: float | None, keep_events: float | None
    ) -> None:
        self._core, self._keep_jobs, self._keep_events = core, keep_jobs, keep_events

    async def run(self) -> None:
        """Tidy every hour until cancelled."""
        await every_hour(self.tidy)

    async def tidy(self) -> None:
        """Remove all that is due, in batches that leave room for others."""
        while True:
            paths, more = await self._core.database.write(self._step)
            for path in paths:
                self._core.outputs.remove(path)
            if not more:
                return

    def _step(self, tx: Transaction) -> tuple[list[str], bool]:
        now = self._core.chance.now()
        tx.run("delete_old_idempotent", before=now - KEEP_IDEMPOTENCY_KEYS)
        tx.run("delete_old_kept", before=now - KEPT_LISTED)
        tx.run("unpin_old_workflows", before=now - KEPT_LISTED)
        delete_expired(tx, now)
        more = self._forget_events(tx, now)
        if self._keep_jobs is None:
            return [], more
        before = now - self._keep_jobs
        old = tx.all("get_workflows_ended_before", before=before, most=MOST_AT_ONCE)
        for workflow in ids_of(old):
            delete_workflow(tx, workflow)
        ids = ids_of(tx.all("get_ended_before", before=before, most=MOST_AT_ONCE))
        ledger = Ledger(self._core, tx, now)
        for head in ledger.load(ids):
            ledger.forget(head)
        paths = delete_jobs(tx, ids)
        ledger.close()
        return paths, more or len(ids) == MOST_AT_ONCE

    def _forget_events(self, tx: Transaction, now: float) -> bool:
        """Remove old events, a batch of them; return whether there may be more."""
        if self._keep_events is None:
            return False
        gone = tx.all("delete_events_before", before=now - self._keep_events, most=MOST_EVENTS)
        return len(gone) == MOST_EVENTS


def _seconds_until(due: float | None, now: float) -> float | None:
    if due is None or math.isinf(due):
        return None
    return max(0.001, due - now)
