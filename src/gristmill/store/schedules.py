"""Schedules as the scheduler works with them: definition, switches and progress in one row."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gristmill.domain.declared import Every, Exclude
from gristmill.store.database import Transaction


class ScheduleRow(msgspec.Struct):
    """One schedule with what surrounds it.

    failures: consecutive ones. last_completed_set: the set that returned last.
    base_at, base_shift: the newest run by the rhythm and by how much the clock's gap moved it;
    stuck_at: the base after which no next time was found. runs_…: completed runs by outcome.
    """

    id: int
    template_id: int
    project_id: int
    pool_id: int
    parent_id: int | None
    name: str
    description: str
    script: str
    every_count: int | None
    every_unit: str | None
    cron: str | None
    timezone: str
    jitter: float
    catch_up: str
    first_run: float | None
    run_on_all_workers: bool
    run_children_on_error: bool
    disable_after_failures: int | None
    notify: str
    enabled: bool
    failures: int
    last_completed_set: int | None
    base_at: float | None
    base_shift: float
    stuck_at: float | None
    runs_succeeded: int
    runs_failed: int
    runs_unjudged: int
    logs: int
    template_name: str
    template_body: str
    template_enabled: bool
    project_name: str
    project_enabled: bool
    pool_name: str
    pool_enabled: bool
    pool_agents: bool
    exclude: tuple[Exclude, ...] = ()

    @property
    def every(self) -> Every | None:
        """The interval, if it has a whole one."""
        if self.every_count is None or self.every_unit is None:
            return None
        return Every(count=self.every_count, unit=self.every_unit)  # type: ignore[arg-type]

    @property
    def switched_on(self) -> bool:
        """Whether all four switches let it run by its rhythm."""
        return self.enabled and self.template_enabled and self.project_enabled and self.pool_enabled


class IndexRow(NamedTuple):
    """Where a schedule stands among the others."""

    id: int
    name: str
    template_id: int
    project_id: int
    pool_id: int
    parent_id: int | None
    project_name: str
    template_name: str


class PoolWorker(NamedTuple):
    """A worker of a pool."""

    id: int
    enabled: bool


_FLAGS = (
    "run_on_all_workers",
    "run_children_on_error",
    "enabled",
    "template_enabled",
    "project_enabled",
    "pool_enabled",
    "pool_agents",
)


def get_schedules(tx: Transaction, ids: Sequence[int]) -> dict[int, ScheduleRow]:
    """Return the schedules that exist, by id."""
    if not ids:
        return {}
    array = tx.array(ids)
    rows = {row[0]: ScheduleRow(*row) for row in tx.all("get_schedule_rows", ids=array)}
    excludes: dict[int, list[Exclude]] = defaultdict(list)
    for number, start, end, note in tx.all("get_schedule_excludes", ids=array):
        excludes[number].append(Exclude(start=start, end=end, note=note))
    for row in rows.values():
        row.exclude = tuple(excludes[row.id])
        for flag in _FLAGS:
            setattr(row, flag, bool(getattr(row, flag)))
    return rows


def schedule_index(tx: Transaction) -> list[IndexRow]:
    """Return every schedule, sorted by project, template and name."""
    rows = [IndexRow(*row) for row in tx.all("list_schedule_index")]
    return sorted(rows, key=lambda row: (row.project_name, row.template_name, row.name, row.id))


def last_sets(tx: Transaction, ids: Sequence[int]) -> list[int]:
    """Return the set that each of these schedules completed last."""
    return [row[1] for row in tx.all("get_last_sets", ids=tx.array(ids))] if ids else []


class Completed(NamedTuple):
    """How many completed runs there are, by outcome, and how many logs of any runs."""

    succeeded: int
    failed: int
    unjudged: int
    logs: int


def sum_completed(tx: Transaction, ids: Sequence[int]) -> Completed:
    """Return the sums of the schedules' counters."""
    return Completed(*(int(value or 0) for value in tx.must("sum_completed", ids=tx.array(ids))))


def logged_schedules(tx: Transaction) -> list[int]:
    """Return the schedules that have logs of runs."""
    return [row[0] for row in tx.all("list_logged_schedules")]


def children_of(tx: Transaction, ids: Sequence[int]) -> dict[int, list[tuple[int, bool]]]:
    """Return the children of schedules, each with its own switch."""
    children: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    if ids:
        for parent, child, enabled in tx.all("get_schedule_children", ids=tx.array(ids)):
            children[parent].append((child, bool(enabled)))
    return children


def workers_of_pool(tx: Transaction, pool: int) -> list[PoolWorker]:
    """Return the external workers of a pool."""
    rows = tx.all("get_pool_workers", ids=tx.array([pool]))
    return [PoolWorker(number, bool(enabled)) for _, number, enabled in rows]


def save_progress(tx: Transaction, row: ScheduleRow) -> None:
    """Write back what runs change of a schedule."""
    tx.run(
        "set_schedule_progress",
        id=row.id,
        enabled=row.enabled,
        failures=row.failures,
        last_completed_set=row.last_completed_set,
        base_at=row.base_at,
        base_shift=row.base_shift,
        stuck_at=row.stuck_at,
        runs_succeeded=row.runs_succeeded,
        runs_failed=row.runs_failed,
        runs_unjudged=row.runs_unjudged,
        logs=row.logs,
    )
