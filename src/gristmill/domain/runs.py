"""One execution of a schedule, as its stamps tell it."""

from enum import IntEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

FIRST_OF_LOG, LAST_OF_LOG = 163_840, 655_360
"""Bytes of a long log that are kept, of its beginning and its end."""

_CUT = b"\n\n[truncated]\n\n"


class Phase(IntEnum):
    """How far a run has come. The numbers are stored; never renumber."""

    SCHEDULED = 0
    IN_QUEUE = 1
    STARTED = 2
    COMPLETED = 3


class Run(msgspec.Struct):
    """A run; its id is that of its job.

    set_id: shared by the runs that one decision made, the id of the first of them.
    due_at: not started before. enqueued_at: a worker claimed it. returned_at: it has ended.
    success: None while unknown. worker_id: the external worker that has it or is to have it.
    manual: by hand, which no switch holds up. chains: whether the children follow.
    returns: the ends whose effects have happened. Times are epoch seconds.
    """

    id: int
    schedule_id: int
    set_id: int
    phase: Phase
    worker_id: int | None
    due_at: float
    enqueued_at: float | None
    started_at: float | None
    returned_at: float | None
    success: bool | None
    pid: int | None
    manual: bool
    chains: bool
    returns: tuple[float, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it has returned."""
        return self.returned_at is not None


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a run. worker_id: None leaves it as it is."""

    due_at: float | UnsetType = UNSET
    enqueued_at: float | UnsetType | None = UNSET
    started_at: float | UnsetType | None = UNSET
    returned_at: float | UnsetType | None = UNSET
    success: bool | UnsetType | None = UNSET
    pid: int | UnsetType | None = UNSET
    worker_id: int | UnsetType | None = UNSET
    manual: bool | UnsetType = UNSET
    chains: bool | UnsetType = UNSET


class KillRequest(NamedTuple):
    """A wish that a run be ended, and when its worker took and fulfilled it."""

    id: int
    run_id: int
    schedule_id: int
    created_at: float
    enqueued_at: float | None
    executed_at: float | None


def phase_of(run: Run) -> Phase:
    """Return the phase that the stamps say."""
    if run.enqueued_at is None:
        return Phase.SCHEDULED
    if run.started_at is None:
        return Phase.IN_QUEUE
    return Phase.STARTED if run.returned_at is None else Phase.COMPLETED


def order(run: Run) -> tuple[float, float, float, float, int]:
    """Sort runs: returned ones newest first, then started, claimed, and the soonest due."""
    return (
        _newest_first(run.returned_at),
        _newest_first(run.started_at),
        _newest_first(run.enqueued_at),
        run.due_at,
        run.id,
    )


def _newest_first(at: float | None) -> float:
    return 0.0 if at is None else -at


def shorten(log: bytes) -> bytes:
    """Return a log without its middle when it is long."""
    if len(log) <= FIRST_OF_LOG + LAST_OF_LOG:
        return log
    return log[:FIRST_OF_LOG] + _CUT + log[-LAST_OF_LOG:]
