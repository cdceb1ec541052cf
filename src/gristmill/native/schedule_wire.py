"""The shapes of /v1/schedules. Times are UTC, durations seconds."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.domain.declared import LONGEST_JITTER, CatchUp, Every, Exclude, Title
from gristmill.domain.job import Text

Zone = Annotated[str, msgspec.Meta(max_length=255)]
CronLine = Annotated[str, msgspec.Meta(max_length=255)]
Jitter = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_JITTER)]
Failures = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Windows = Annotated[list[Exclude], msgspec.Meta(max_length=1000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ScheduleFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What can be set of a schedule; what is left out stays as it is."""

    name: Title | UnsetType = UNSET
    template: Title | UnsetType = UNSET
    pool: Title | UnsetType = UNSET
    parent: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)] | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    script: Text | UnsetType = UNSET
    every: Every | UnsetType | None = UNSET
    cron: CronLine | UnsetType | None = UNSET
    timezone: Zone | UnsetType = UNSET
    jitter: Jitter | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    exclude: Windows | UnsetType = UNSET
    run_on_all_workers: bool | UnsetType = UNSET
    run_children_on_error: bool | UnsetType = UNSET
    disable_after_failures: Failures | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class NewSchedule(ScheduleFields, forbid_unknown_fields=True, kw_only=True):
    """A schedule to add. first_run: the time of its first run; null for none."""

    project: Title
    first_run: Moment | None = None


class ScheduleDetail(msgspec.Struct, kw_only=True):
    """A schedule. active: no switch of it, its template, project or pool is off.

    next: the next times that are known, at most three. rendered: the script in its template.
    """

    id: int
    name: str
    project: str
    template: str
    pool: str
    parent: int | None
    children: list[int]
    description: str
    script: str
    rendered: str
    every: Every | None
    cron: str | None
    timezone: str
    jitter: float
    catch_up: str
    exclude: list[Exclude]
    run_on_all_workers: bool
    run_children_on_error: bool
    disable_after_failures: int | None
    notify: list[str]
    enabled: bool
    active: bool
    failures: int
    succeeded: int
    failed: int
    next: list[datetime]


class ScheduleGlance(msgspec.Struct, kw_only=True):
    """A schedule in a list. due: the time of the run that waits, if one does."""

    id: int
    name: str
    project: str
    template: str
    pool: str
    parent: int | None
    every: Every | None
    cron: str | None
    enabled: bool
    active: bool
    failures: int
    due: datetime | None


class SchedulePage(msgspec.Struct):
    """Schedules by project, template and name. total: of all pages."""

    schedules: list[ScheduleGlance]
    total: int


class RunGlance(msgspec.Struct, kw_only=True):
    """A run; its id is that of its job. state: scheduled, in_queue, started or completed.

    set: shared by runs that were made together. worker: an external worker's id.
    """

    id: int
    schedule: int
    set: int
    state: str
    due_at: datetime
    enqueued_at: datetime | None
    started_at: datetime | None
    returned_at: datetime | None
    success: bool | None
    pid: int | None
    worker: int | None
    manual: bool
    chains: bool


class RunPage(msgspec.Struct):
    """Runs: those that returned first, newest first. total: of all pages."""

    runs: list[RunGlance]
    total: int


class NewManualRun(msgspec.Struct, forbid_unknown_fields=True):
    """How to run by hand. chains: whether the children follow. at: null for now."""

    chains: bool = True
    at: Moment | None = None


class FirstRun(msgspec.Struct, forbid_unknown_fields=True):
    """When a schedule starts. at: null for the next time of a cron line, else for now."""

    at: Moment | None = None


class Period(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A period that has passed, both ends included."""

    first: Moment = msgspec.field(name="from")
    last: Moment = msgspec.field(name="to")
    chains: bool = False


class Backfilled(msgspec.Struct):
    """Runs that were added, one for each time, in their order."""

    runs: list[int]


class Times(msgspec.Struct):
    """When a schedule comes round next."""

    times: list[datetime]


class KillAsked(msgspec.Struct):
    """A request to end a run."""

    kill_request: int
