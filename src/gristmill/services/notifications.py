"""Who asked for it is told by mail when a job or a workflow has ended.

A row says whom to tell. It is looked at after the end is durable, beside the queue and not
inside it, so that nothing about mail can harm a job; and it stays until the mail is in the
outbox, so that a restart forgets nobody.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gristmill.domain.errors import UnavailableError
from gristmill.domain.state import TERMINAL, JobState
from gristmill.services.mail import Mailer
from gristmill.services.queue.core import QueueCore
from gristmill.services.waiting import PAUSE_AFTER_FAILURE, pause
from gristmill.store.agents import get_agents
from gristmill.store.database import Transaction
from gristmill.store.events import events_after, last_event
from gristmill.store.jobs import JobRow, get_rows, get_states
from gristmill.store.mail import (
    delete_notifications,
    notifications_after,
    notifications_of,
)

MOST_AT_ONCE = 500
IDLE = 3_600.0

_OUTCOMES = {
    JobState.COMPLETE: "completed",
    JobState.BURIED: "failed",
    JobState.CANCELLED: "was cancelled",
}
_ENDS = frozenset(f"job.{state.word}" for state in _OUTCOMES)


class Ended(NamedTuple):
    """A workflow that has ended. outcome: such as ``failed``."""

    id: int
    name: str
    outcome: str
    summary: str


class Notifications:
    """Turns ends into mail."""

    def __init__(self, core: QueueCore, mailer: Mailer) -> None:
        self._core, self._mailer = core, mailer

    def workflow_ended(self, tx: Transaction, ended: Ended) -> None:
        """Put the mail about a workflow into the outbox, as part of the transaction it ends in."""
        for _, address in notifications_of(tx, [ended.id]):
            subject = f"Workflow {_title(ended.id, ended.name)} {ended.outcome}"
            self._mailer.enqueue(tx, [address], subject, f"{ended.summary}\n")
        delete_notifications(tx, [ended.id])

    async def run(self) -> None:
        """Watch for ends while somebody waits for one, until cancelled."""
        signals = self._core.signals
        while True:
            try:
                await self._watch()
            except UnavailableError:
                await pause(PAUSE_AFTER_FAILURE)
                continue
            await signals.notify.wait()

    async def _watch(self) -> None:
        """Send mail for what has ended, until nobody waits any more."""
        signals, database = self._core.signals, self._core.database
        signals.notify.clear()
        seen = await database.read(last_event)
        if not await self._catch_up():
            return
        while True:
            waiting = signals.waiting_for_events()
            # Whoever asked after this is seen again: the event stays set for the next round.
            events = await database.read(lambda tx: events_after(tx, seen, MOST_AT_ONCE))  # noqa: B023
            ends = [job for event in events if event.kind in _ENDS for job in event.jobs]
            for start in range(0, len(ends), MOST_AT_ONCE):
                await self._tell(ends[start : start + MOST_AT_ONCE])
            if events:
                seen = events[-1].id
            elif not await database.read(lambda tx: notifications_after(tx, 0, 1)):
                return
            else:
                await waiting(IDLE)

    async def _catch_up(self) -> bool:
        """Tell what ended unseen; whether anybody still waits."""
        after, anybody = 0, False
        while True:
            rows = await self._core.database.read(
                lambda tx: notifications_after(tx, after, MOST_AT_ONCE)  # noqa: B023
            )
            if not rows:
                return anybody
            anybody = True
            await self._tell([job for job, _ in rows])
            after = rows[-1][0]

    async def _tell(self, jobs: Sequence[int]) -> None:
        """Put mail into the outbox for those of the jobs that have ended and are waited for."""
        wanted = await self._core.database.read(lambda tx: notifications_of(tx, jobs))
        if wanted:
            await self._core.database.write(
                lambda tx: self._enqueue(tx, [job for job, _ in wanted])
            )

    def _enqueue(self, tx: Transaction, jobs: Sequence[int]) -> None:
        addresses = dict(notifications_of(tx, jobs))
        states = get_states(tx, list(addresses))
        ended = [job for job, (state, _) in states.items() if state in TERMINAL]
        for job, row in get_rows(tx, ended).items():
            state = row.head.state
            subject = f"Job {_title(job, row.name)} {_OUTCOMES[state]}"
            self._mailer.enqueue(tx, [addresses[job]], subject, _report(tx, row))
        delete_notifications(tx, ended)


def _title(number: int, name: str) -> str:
    return f"{number} ({name})" if name else str(number)


def _report(tx: Transaction, row: JobRow) -> str:
    head = row.head
    cpu, wall, peak, agent = tx.must("get_consumption", job=head.id)
    sites = {each.id: each.matched_labels["site"] for each in get_agents(tx)} if agent else {}
    facts = [
        ("Name", row.name or "-"),
        ("Id", str(head.id)),
        ("Outcome", _OUTCOMES[head.state]),
        ("Reason", head.reason or "-"),
        ("Exit code", "-" if head.exit_code is None else str(head.exit_code)),
        ("CPU time", "-" if cpu is None else f"{cpu:.2f} s"),
        ("Wall time", "-" if wall is None else f"{wall:.2f} s"),
        ("Memory", "-" if peak is None else f"{peak} MB"),
        ("Site", sites.get(agent, "-")),
    ]
    return "".join(f"{name + ':':<11}{value}\n" for name, value in facts)
