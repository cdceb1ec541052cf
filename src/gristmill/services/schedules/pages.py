"""What to list of runs and what belongs to them."""

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

import msgspec

from gristmill.domain.runs import Phase

T = TypeVar("T")
MOST_A_PAGE = 1_000


class Page(NamedTuple, Generic[T]):
    """Some of what was asked for, and how many there are of it."""

    total: int
    items: list[T]


class RunState(StrEnum):
    """What runs can be asked for by."""

    SCHEDULED = "scheduled"
    IN_QUEUE = "in_queue"
    STARTED = "started"
    COMPLETED = "completed"
    COMPLETED_SUCCESSFUL = "completed_successful"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    LAST_COMPLETED = "last_completed"


OPEN_PHASES = {
    RunState.SCHEDULED: Phase.SCHEDULED,
    RunState.IN_QUEUE: Phase.IN_QUEUE,
    RunState.STARTED: Phase.STARTED,
}
OUTCOMES = {RunState.COMPLETED_SUCCESSFUL: True, RunState.COMPLETED_WITH_ERRORS: False}


class RunView(msgspec.Struct, frozen=True):
    """A run as people and workers see it. log_id: None while it has no log."""

    id: int
    schedule_id: int
    project_id: int
    pool_id: int
    set_id: int
    due_at: float
    enqueued_at: float | None
    started_at: float | None
    returned_at: float | None
    success: bool | None
    pid: int | None
    worker_id: int | None
    log_id: int | None
    manual: bool
    chains: bool
    phase: Phase


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs; None: any. due_from, due_to: epoch seconds, both included.

    keep: any further condition.
    """

    project_ids: Collection[int] | None = None
    pool_ids: Collection[int] | None = None
    schedule_ids: Collection[int] | None = None
    worker_ids: Collection[int] | None = None
    state: RunState | None = None
    manual: bool | None = None
    due_from: float | None = None
    due_to: float | None = None
    ids: Sequence[int] | None = None
    keep: Callable[[RunView], bool] | None = None
