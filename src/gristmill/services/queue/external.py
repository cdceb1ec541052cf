"""Jobs that somebody runs who is no agent of ours: claimed, begun and ended by their id.

Each function is one step of the transition table; ``bring`` takes as many as it needs.
"""

from typing import NamedTuple

from gristmill.domain.outcome import CANCELLED_BY_USER, NON_ZERO_EXIT
from gristmill.domain.state import HELD, TERMINAL, JobState, Trigger
from gristmill.services.queue.ledger import Ledger
from gristmill.store.jobs import JobHead

NO_AGENT = 0
"""Stands for the agent of an attempt that none of ours made."""


class Told(NamedTuple):
    """What the one who runs a job said of it. Times are epoch seconds."""

    started_at: float | None = None
    ended_at: float | None = None
    pid: int | None = None
    reason: str = NON_ZERO_EXIT


def bring(ledger: Ledger, head: JobHead, wanted: JobState, told: Told) -> None:
    """Move a job that no agent holds to ready, reserved, running, complete or buried."""
    if head.state in TERMINAL and head.state is not wanted:
        _reopen(ledger, head)
    if head.state not in HELD and head.state is not wanted:
        _make_ready(ledger, head)
    if wanted is JobState.READY:
        _give_up(ledger, head)
    elif head.state is not wanted:
        _advance(ledger, head, wanted, told)
    _stamp(ledger, head, wanted, told)


def _advance(ledger: Ledger, head: JobHead, wanted: JobState, told: Told) -> None:
    if head.state is JobState.RUNNING and wanted is JobState.RESERVED:
        _give_up(ledger, head)
    if head.state is JobState.READY:
        claim(ledger, head)
    if wanted is JobState.RESERVED:
        return
    if head.state is JobState.RESERVED:
        ledger.move(head, Trigger.START, JobState.RUNNING)
    if wanted is JobState.COMPLETE:
        ledger.move(head, Trigger.SUCCEED, JobState.COMPLETE)
    elif wanted is JobState.BURIED:
        _fail(ledger, head, told.reason)


def claim(ledger: Ledger, head: JobHead) -> None:
    """Give a ready job to somebody who is no agent."""
    head.attempt += 1
    head.agent_id = None
    head.started_at = head.ended_at = head.exit_code = head.reason = head.ready_at = None
    ledger.move(head, Trigger.LEASE, JobState.RESERVED)


def _give_up(ledger: Ledger, head: JobHead) -> None:
    """Make a job ready again whose holder no longer has it."""
    if head.state is JobState.RUNNING:
        head.started_at = head.ready_at = None
        ledger.move(head, Trigger.FAIL_RETRY, JobState.READY)
    elif head.state is JobState.RESERVED:
        ledger.give_back(head)


def _make_ready(ledger: Ledger, head: JobHead) -> None:
    head.ready_at = None
    if head.state is JobState.DELAYED:
        ledger.hold(head)
    if head.state is JobState.WAITING:
        ledger.release(head)


def _reopen(ledger: Ledger, head: JobHead) -> None:
    head.started_at = head.ended_at = head.exit_code = head.reason = head.agent_id = None
    ledger.move(head, Trigger.RETRY, JobState.READY)


def _fail(ledger: Ledger, head: JobHead, reason: str) -> None:
    head.failures += 1
    if head.cancel_requested:
        head.cancel_requested = 0
        head.reason = CANCELLED_BY_USER
        ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)
    else:
        head.reason = reason
        ledger.move(head, Trigger.FAIL_FINAL, JobState.BURIED)


def _stamp(ledger: Ledger, head: JobHead, wanted: JobState, told: Told) -> None:
    """Write the times down, with the job and with its attempt."""
    head.started_at = told.started_at
    head.ended_at = told.ended_at if wanted in TERMINAL else None
    head.cancel_requested = 0 if head.state in TERMINAL else head.cancel_requested
    ledger.touch(head)
    if head.attempt and told.started_at is not None:
        values = (
            head.id, head.attempt, 0, NO_AGENT, told.started_at, head.ended_at, None, head.reason,
            None, told.pid, None, None, None, None, None,
        )  # fmt: skip
        ledger.tx.many("put_attempts", [values])
