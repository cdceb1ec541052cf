"""/v1/schedules: look, make, change, run, pause, backfill; their runs, logs and ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import Controller, Response, get, patch, post
from litestar.params import PathParameter, QueryParameter
from msgspec import UNSET

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.native import documented
from gristmill.native import schedule_wire as wire
from gristmill.native.access import Caller, TheHouse
from gristmill.native.bodies import read_json
from gristmill.native.parameters import LARGEST, AnyRequest
from gristmill.native.translate import moment
from gristmill.services.house import House
from gristmill.services.schedules.backfilling import backfill
from gristmill.services.schedules.book import ScheduleFilter, ScheduleView
from gristmill.services.schedules.defining import ScheduleChange
from gristmill.services.schedules.pages import RunFilter, RunState, RunView
from gristmill.services.schedules.runs import NewRun
from gristmill.services.schedules.starting import start

DEFAULT_PAGE, MOST_A_PAGE = 100, 1_000
MOST_TIMES = 100
SHOWN_TIMES = 3

ScheduleNumber = Annotated[int, PathParameter(ge=1, le=LARGEST, description="the schedule's id")]
RunNumber = Annotated[int, PathParameter(ge=1, le=LARGEST, description="the run's id")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_A_PAGE)]
Offset = Annotated[int, QueryParameter(ge=0, le=1 << 40)]
StateWord = Literal[
    "scheduled",
    "in_queue",
    "started",
    "completed",
    "completed_successful",
    "completed_with_errors",
    "last_completed",
]


class ScheduleRoutes(Controller):
    """Schedules of projects that the caller's groups view; changed by those who operate them."""

    path = "/v1/schedules"
    tags = ("schedules",)

    @get(summary="List schedules")
    async def list_schedules(
        self,
        house: TheHouse,
        reader: Caller,
        project: Annotated[str | None, QueryParameter(max_length=255)] = None,
        name: Annotated[str | None, QueryParameter(max_length=255)] = None,
        limit: Limit = DEFAULT_PAGE,
        offset: Offset = 0,
    ) -> wire.SchedulePage:
        """Return a page of schedules, sorted by project, template and name."""
        reach = await house.schedule_access.reach(reader)
        wanted = ScheduleFilter(
            project_ids=reach.seen,
            project_names=None if project is None else {project},
            names=None if name is None else {name},
        )
        page = await house.schedules.list(wanted, offset, limit)
        due = await _due(house, [view.id for view in page.items])
        return wire.SchedulePage(
            [_glance(view, due.get(view.id)) for view in page.items], page.total
        )

    @post(operation_class=documented.NEW_SCHEDULE, summary="Add a schedule",
          responses=documented.CONFLICT)  # fmt: skip
    async def create(
        self, request: AnyRequest, house: TheHouse, writer: Caller
    ) -> wire.ScheduleDetail:
        """Add a schedule to a project that the caller operates."""
        new = await read_json(request, wire.NewSchedule)
        if new.template is UNSET or new.pool is UNSET or new.name is UNSET:
            missing = next(
                one for one in ("name", "template", "pool") if getattr(new, one) is UNSET
            )
            raise InvalidInputError("is missing, and has no default", missing)
        template = await house.schedule_access.template(writer, new.project, new.template)
        change = await _change(house, new, template)
        first = None if new.first_run is None else new.first_run.timestamp()
        with _wire_names():
            number = await house.schedules.create(change, first_run=first)
        return await _detail(house, await house.schedules.get(number))

    @get("/{schedule:int}", summary="One schedule")
    async def detail(
        self, house: TheHouse, reader: Caller, schedule: ScheduleNumber
    ) -> wire.ScheduleDetail:
        """Return a schedule with its next times."""
        return await _detail(house, await house.schedule_access.see(reader, schedule))

    @patch(
        "/{schedule:int}",
        operation_class=documented.SCHEDULE_FIELDS,
        summary="Change a schedule",
        responses=documented.CONFLICT,
    )
    async def change(
        self, request: AnyRequest, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.ScheduleDetail:
        """Set what is given; a rhythm takes the place of the one before."""
        view = await house.schedule_access.operate(writer, schedule)
        fields = await read_json(request, wire.ScheduleFields)
        template = None
        if fields.template is not UNSET:
            template = await house.schedule_access.template(
                writer, view.project_name, fields.template
            )
        change = await _change(house, fields, template)
        with _wire_names():
            await house.schedules.change(schedule, change)
        return await _detail(house, await house.schedules.get(schedule))

    @post("/{schedule:int}/pause", status_code=200, summary="Switch a schedule off")
    async def pause(
        self, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.ScheduleDetail:
        """Let no run of its rhythm begin; runs by hand still do."""
        return await _switch(house, writer, schedule, on=False)

    @post("/{schedule:int}/resume", status_code=200, summary="Switch a schedule on")
    async def resume(
        self, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.ScheduleDetail:
        """Let runs begin again, and forget the failures that switched it off."""
        return await _switch(house, writer, schedule, on=True)

    @get("/{schedule:int}/next", summary="Next times of a schedule")
    async def next_times(
        self,
        house: TheHouse,
        reader: Caller,
        schedule: ScheduleNumber,
        count: Annotated[int, QueryParameter(ge=1, le=MOST_TIMES)] = 10,
    ) -> wire.Times:
        """Return when it comes round next; fewer when there are no more."""
        await house.schedule_access.see(reader, schedule)
        return wire.Times(await _times(house, schedule, count))

    @post(
        "/{schedule:int}/run",
        operation_class=documented.MANUAL_RUN,
        summary="Run a schedule by hand",
    )
    async def run(
        self, request: AnyRequest, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.RunGlance:
        """Add a run that no switch holds up, now or at a given time."""
        await house.schedule_access.operate(writer, schedule)
        wish = wire.NewManualRun()
        if await request.body():
            wish = await read_json(request, wire.NewManualRun)
        due = house.chance.now() if wish.at is None else wish.at.timestamp()
        new = NewRun(schedule_id=schedule, due_at=due, manual=True, chains=wish.chains)
        number = await house.runs.create(new, writer.user, Dialect.SCHEDULE)
        return _run(await house.runs.get(number))

    @post(
        "/{schedule:int}/start",
        operation_class=documented.FIRST_RUN,
        summary="Start a schedule that has no run by its rhythm",
        responses=documented.CONFLICT,
    )
    async def start(
        self, request: AnyRequest, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.RunGlance:
        """Add the run from which the others follow; 409 where one waits or runs already."""
        await house.schedule_access.operate(writer, schedule)
        wish = wire.FirstRun()
        if await request.body():
            wish = await read_json(request, wire.FirstRun)
        at = None if wish.at is None else wish.at.timestamp()
        number = await start(house.schedule_core, schedule, at, writer.user)
        return _run(await house.runs.get(number))

    @post(
        "/{schedule:int}/backfill",
        operation_class=documented.PERIOD,
        summary="Run a schedule for a period that has passed",
    )
    async def backfill(
        self, request: AnyRequest, house: TheHouse, writer: Caller, schedule: ScheduleNumber
    ) -> wire.Backfilled:
        """Add a run for each of its times in the period; they run one after another."""
        await house.schedule_access.operate(writer, schedule)
        period = await read_json(request, wire.Period)
        if period.first > period.last:
            raise InvalidInputError("comes after to", "from")
        runs = await backfill(
            house.schedule_core, schedule, period.first.timestamp(), period.last.timestamp(),
            chains=period.chains, owner=writer.user,
        )  # fmt: skip
        return wire.Backfilled(runs)

    @get("/{schedule:int}/runs", summary="Runs of a schedule")
    async def runs(
        self,
        house: TheHouse,
        reader: Caller,
        schedule: ScheduleNumber,
        progress: Annotated[
            StateWord | None, QueryParameter(name="state", description="how far they came")
        ] = None,
        limit: Limit = DEFAULT_PAGE,
        offset: Offset = 0,
    ) -> wire.RunPage:
        """Return runs: those that returned, newest first, then started, claimed, scheduled ones."""
        await house.schedule_access.see(reader, schedule)
        wanted = RunFilter(
            schedule_ids={schedule}, state=None if progress is None else RunState(progress)
        )
        page = await house.runs.list(wanted, offset, limit)
        return wire.RunPage([_run(view) for view in page.items], page.total)

    @get("/{schedule:int}/runs/{run:int}/log", summary="Log of a run", media_type="text/plain")
    async def log(
        self, house: TheHouse, reader: Caller, schedule: ScheduleNumber, run: RunNumber
    ) -> Response[str]:
        """Return what the run wrote; 404 while it has no log."""
        await house.schedule_access.see(reader, schedule)
        log = (await house.logs.get_many([run])).get(run)
        if log is None or log.schedule_id != schedule:
            raise NotFoundError(f"run {run} of schedule {schedule} has no log")
        text = (log.content or "").encode("utf-8", "replace").decode()
        return Response(
            text, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"}
        )

    @post("/{schedule:int}/runs/{run:int}/kill", summary="End a run")
    async def kill(
        self, house: TheHouse, writer: Caller, schedule: ScheduleNumber, run: RunNumber
    ) -> wire.KillAsked:
        """Ask whoever has the run to end it, as soon as it has begun."""
        await house.schedule_access.operate(writer, schedule)
        view = await house.runs.get(run)
        if view.schedule_id != schedule:
            raise NotFoundError(f"there is no run {run} of schedule {schedule}")
        return wire.KillAsked(await house.kills.create(run))


@contextmanager
def _wire_names() -> Iterator[None]:
    """Let errors name fields as they are called here."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(str(error), error.field.removesuffix("_id")) from error


async def _switch(house: House, who: Caller, schedule: int, *, on: bool) -> wire.ScheduleDetail:
    await house.schedule_access.operate(who, schedule)
    await house.schedules.change(schedule, ScheduleChange(enabled=on))
    return await _detail(house, await house.schedules.get(schedule))


async def _change(
    house: House, fields: wire.ScheduleFields, template: int | None
) -> ScheduleChange:
    pool = UNSET if fields.pool is UNSET else await house.schedule_access.pool(fields.pool)
    return ScheduleChange(
        name=fields.name,
        template_id=UNSET if template is None else template,
        pool_id=pool,
        parent_id=fields.parent,
        description=fields.description,
        script=fields.script,
        every=fields.every,
        cron=fields.cron,
        timezone=fields.timezone,
        jitter=fields.jitter,
        catch_up=fields.catch_up,
        exclude=fields.exclude,
        run_on_all_workers=fields.run_on_all_workers,
        run_children_on_error=fields.run_children_on_error,
        disable_after_failures=fields.disable_after_failures,
        enabled=fields.enabled,
    )


async def _times(house: House, schedule: int, count: int) -> list[datetime]:
    times = await house.schedules.next_times(schedule, count)
    return [datetime.fromtimestamp(at, UTC) for at in times]


async def _due(house: House, schedules: list[int]) -> dict[int, float]:
    """Return when the earliest run of each schedule is due that nobody has claimed."""
    if not schedules:
        return {}
    wanted = RunFilter(schedule_ids=set(schedules), state=RunState.SCHEDULED)
    page = await house.runs.list(wanted)
    due: dict[int, float] = {}
    for run in page.items:
        due[run.schedule_id] = min(run.due_at, due.get(run.schedule_id, run.due_at))
    return due


def _glance(view: ScheduleView, due: float | None) -> wire.ScheduleGlance:
    return wire.ScheduleGlance(
        id=view.id,
        name=view.name,
        project=view.project_name,
        template=view.template_name,
        pool=view.pool_name,
        parent=view.parent_id,
        every=view.every,
        cron=view.cron,
        enabled=view.enabled,
        active=view.switched_on,
        failures=view.failures,
        due=moment(due),
    )


async def _detail(house: House, view: ScheduleView) -> wire.ScheduleDetail:
    return wire.ScheduleDetail(
        id=view.id,
        name=view.name,
        project=view.project_name,
        template=view.template_name,
        pool=view.pool_name,
        parent=view.parent_id,
        children=list(view.child_ids),
        description=view.description,
        script=view.script,
        rendered=view.rendered,
        every=view.every,
        cron=view.cron,
        timezone=view.timezone,
        jitter=view.jitter,
        catch_up=view.catch_up,
        exclude=list(view.exclude),
        run_on_all_workers=view.run_on_all_workers,
        run_children_on_error=view.run_children_on_error,
        disable_after_failures=view.disable_after_failures,
        notify=list(view.notify),
        enabled=view.enabled,
        active=view.switched_on,
        failures=view.failures,
        succeeded=view.runs_succeeded,
        failed=view.runs_failed,
        next=await _times(house, view.id, SHOWN_TIMES),
    )


def _run(view: RunView) -> wire.RunGlance:
    due = moment(view.due_at)
    assert due is not None
    return wire.RunGlance(
        id=view.id,
        schedule=view.schedule_id,
        set=view.set_id,
        state=view.phase.name.lower(),
        due_at=due,
        enqueued_at=moment(view.enqueued_at),
        started_at=moment(view.started_at),
        returned_at=moment(view.returned_at),
        success=view.success,
        pid=view.pid,
        worker=view.worker_id,
        manual=view.manual,
        chains=view.chains,
    )
