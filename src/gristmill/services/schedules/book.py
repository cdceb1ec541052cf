"""The schedules themselves: looked at, made, changed."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from gristmill.domain.declared import Every, Exclude
from gristmill.domain.errors import NotFoundError
from gristmill.domain.intervals import Moment, from_epoch, next_times, to_epoch
from gristmill.domain.templates import render
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.defining import ScheduleChange as ScheduleChange
from gristmill.services.schedules.defining import create_schedule, update_schedule
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.making import Wanted, make_run
from gristmill.services.schedules.pages import Page
from gristmill.services.schedules.turn import Turn, base_of
from gristmill.store.database import Transaction
from gristmill.store.schedules import IndexRow as ScheduleEntry
from gristmill.store.schedules import ScheduleRow, children_of, get_schedules


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as people and workers see it.

    rendered: its script inside its template. notify_text: addresses as they were given.
    every_count, every_unit: the halves of every, of which one may be there alone.
    failures: consecutive ones. last_completed_set: of runs. base_at: the newest time by rhythm.
    """

    id: int
    project_id: int
    template_id: int
    pool_id: int
    parent_id: int | None
    child_ids: tuple[int, ...]
    name: str
    description: str
    script: str
    rendered: str
    every: Every | None
    every_count: int | None
    every_unit: str | None
    cron: str | None
    timezone: str
    jitter: float
    catch_up: str
    exclude: tuple[Exclude, ...]
    first_run: float | None
    enabled: bool
    switched_on: bool
    run_on_all_workers: bool
    run_children_on_error: bool
    disable_after_failures: int | None
    notify: tuple[str, ...]
    notify_text: str
    failures: int
    last_completed_set: int | None
    base_at: float | None
    runs_succeeded: int
    runs_failed: int
    project_name: str
    template_name: str
    pool_name: str


class ScheduleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which schedules; None: any. names: exact ones."""

    project_ids: Collection[int] | None = None
    project_names: Collection[str] | None = None
    template_ids: Collection[int] | None = None
    names: Collection[str] | None = None
    ids: Collection[int] | None = None

    def fits(self, row: ScheduleEntry) -> bool:
        """Whether the schedule meets every condition."""
        return (
            (self.project_ids is None or row.project_id in self.project_ids)
            and (self.project_names is None or row.project_name in self.project_names)
            and (self.template_ids is None or row.template_id in self.template_ids)
            and (self.names is None or row.name in self.names)
            and (self.ids is None or row.id in self.ids)
        )


class Schedules:
    """Every method is one transaction."""

    def __init__(self, core: ScheduleCore, index: ScheduleIndex) -> None:
        self._core, self._index = core, index
        self._database = core.queue.database

    async def index(self) -> Sequence[ScheduleEntry]:
        """Return where every schedule stands, sorted by project, template and name."""
        return (await self._index.get()).rows

    async def list(
        self,
        wanted: ScheduleFilter = ScheduleFilter(),  # noqa: B008 - frozen
        offset: int = 0,
        limit: int | None = None,
    ) -> Page[ScheduleView]:
        """Return a page of schedules, sorted by project, template and name."""
        found = [row.id for row in (await self._index.get()).rows if wanted.fits(row)]
        end = None if limit is None else offset + limit
        views = await self.get_many(found[offset:end])
        return Page(len(found), [views[number] for number in found[offset:end] if number in views])

    async def get_many(self, ids: Iterable[int]) -> dict[int, ScheduleView]:
        """Return the schedules that exist, by id."""
        wanted = list(ids)

        def work(tx: Transaction) -> dict[int, ScheduleView]:
            children = children_of(tx, wanted)
            return {
                number: _view(row, tuple(child for child, _ in children[number]))
                for number, row in get_schedules(tx, wanted).items()
            }

        return await self._database.read(work)

    async def get(self, number: int) -> ScheduleView:
        """Return one schedule. Raises NotFoundError."""
        found = await self.get_many([number])
        if number not in found:
            raise NotFoundError(f"there is no schedule {number}")
        return found[number]

    async def find(self, project: str, name: str) -> Sequence[int]:
        """Return the schedules of that name in a project: one for each template that has it."""
        rows = (await self._index.get()).rows
        return [row.id for row in rows if row.project_name == project and row.name == name]

    async def create(self, change: ScheduleChange, first_run: float | None = None) -> int:
        """Add a schedule, with a first run if that has a time; return its id.

        Raises InvalidInputError naming the field, ConflictError for a name the template has.
        """

        def work(tx: Transaction) -> int:
            number = create_schedule(tx, change, first_run)
            if first_run is not None:
                self._make_first_run(tx, number, first_run)
            tx.after_commit(self._changed)
            return number

        return await self._database.write(work)

    async def change(self, number: int, change: ScheduleChange) -> None:
        """Change what is given of a schedule; switched on again, it has no failures.

        Raises NotFoundError, InvalidInputError naming the field, ConflictError.
        """

        def work(tx: Transaction) -> None:
            update_schedule(tx, number, change)
            tx.after_commit(self._changed)
            tx.after_commit(lambda: self._core.nudges.add([number]))

        await self._database.write(work)

    def _make_first_run(self, tx: Transaction, number: int, at: float) -> None:
        turn = Turn(self._core, tx)
        row = turn.schedule(number)
        assert row is not None
        make_run(turn, row, Wanted(Moment(from_epoch(at))))
        turn.close()

    def _changed(self) -> None:
        self._index.forget()

    async def next_times(self, number: int, count: int) -> Sequence[float]:
        """Return when the schedule comes round next, at most count times. Raises NotFoundError.

        A run that waits already is the first of them.
        """
        return await self._database.read(lambda tx: self._next_times(tx, number, count))

    def _next_times(self, tx: Transaction, number: int, count: int) -> Sequence[float]:
        turn = Turn(self._core, tx)
        row = turn.schedule(number)
        if row is None:
            raise NotFoundError(f"there is no schedule {number}")
        waiting = [
            run.due_at
            for run in turn.unreturned(number)
            if run.enqueued_at is None and not run.manual
        ]
        rhythm, base = turn.rhythm(row), base_of(row)
        if rhythm is None or base is None:
            return waiting[:count]
        now = from_epoch(turn.now)
        coming = next_times(rhythm, base, now, max(0, count - len(waiting)))
        return [*waiting, *(to_epoch(moment.at) for moment in coming)][:count]


def _view(row: ScheduleRow, children: tuple[int, ...]) -> ScheduleView:
    same: dict[str, Any] = {
        name: getattr(row, name)
        for name in ScheduleView.__struct_fields__
        if name not in {"child_ids", "rendered", "notify", "notify_text"}
    }
    return ScheduleView(
        **same,
        child_ids=children,
        rendered=render(row.template_body, row.script),
        notify=tuple(filter(None, (line.strip() for line in row.notify.splitlines()))),
        notify_text=row.notify,
    )
