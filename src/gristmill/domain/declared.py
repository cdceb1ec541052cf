"""What an administrator declares in a file: people, pools, workers, projects, schedules.

References are names here; the store turns them into ids. Passwords and secrets are no part of
these values, so whatever shows or exports them cannot leak one.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec

from gristmill.domain.job import Text

TITLE = r"^[^\x00-\x1f\x7f]*\Z"

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=TITLE)]
AccountName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f:]*\Z")
]
GroupName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f,]*\Z")
]
Address = Annotated[str, msgspec.Meta(max_length=320, pattern=r"^[^\s@,;\x00]+@[^\s@,;\x00]+\Z")]
OptionalTitle = Annotated[str, msgspec.Meta(max_length=255, pattern=TITLE)]
Key = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\s:\x00-\x1f\x7f]*\Z")]
TimeOfDay = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?\Z")]
CatchUp = Literal["skip", "one", "all"]
LONGEST_JITTER = 86_400.0
Addresses = Annotated[tuple[Address, ...], msgspec.Meta(max_length=1000)]


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something declared under a name of its own."""

    kind: ClassVar[str]
    name: Title


class Group(Named, frozen=True):
    """People who share rights. A name holds no comma: tokens carry groups as a comma list."""

    kind = "group"
    name: GroupName


class User(Named, frozen=True):
    """A person. A name holds no colon: it stands before one in ``ApiKey user:key``."""

    kind = "user"
    name: AccountName
    groups: tuple[GroupName, ...] = ()
    email: Address | None = None
    admin: bool = False
    enabled: bool = True


class Pool(Named, frozen=True):
    """Where work may run. agents: our own agents serve it, beside external workers."""

    kind = "pool"
    description: Text = ""
    notify: Addresses = ()
    enabled: bool = True
    agents: bool = True


class Worker(Named, frozen=True):
    """An external worker that signs its requests; api_key names it, its secret is kept apart."""

    kind = "worker"
    pools: tuple[Title, ...] = ()
    api_key: Key = ""
    description: Text = ""
    enabled: bool = True


class Project(Named, frozen=True):
    """A body of work: who sees it, who operates it, and the pools it may use."""

    kind = "project"
    description: Text = ""
    viewers: tuple[GroupName, ...] = ()
    operators: tuple[GroupName, ...] = ()
    pools: tuple[Title, ...] = ()
    notify: Addresses = ()
    enabled: bool = True


class Template(Named, frozen=True):
    """The text around the scripts of a project's schedules."""

    kind = "template"
    project: Title
    description: Text = ""
    body: Text = "{{ content|safe }}"
    notify: Addresses = ()
    enabled: bool = True


class Every(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A regular interval."""

    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    unit: Literal["minute", "hour", "day", "month"]


class Exclude(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A daily window without runs, local time, both ends included, never over midnight."""

    start: TimeOfDay = msgspec.field(name="from")
    end: TimeOfDay = msgspec.field(name="to")
    note: OptionalTitle = ""


class Schedule(Named, frozen=True):
    """A script that runs at its times, by hand, or after its parent.

    every, cron: at most one of them. timezone: of cron, windows and whole days, empty for the
    server's. jitter: seconds by which a run may begin later, at random. catch_up: whether times
    that passed meanwhile are left out, made up for once, or made up for one by one.
    parent: the name of a schedule of the same project.
    disable_after_failures: consecutive failures it survives, None for any number.
    """

    kind = "schedule"
    project: Title
    template: OptionalTitle = ""
    pool: OptionalTitle = ""
    description: Text = ""
    script: Text = ""
    every: Every | None = None
    cron: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    timezone: OptionalTitle = ""
    jitter: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_JITTER)] = 0.0
    catch_up: CatchUp = "one"
    first_run: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    exclude: Annotated[tuple[Exclude, ...], msgspec.Meta(max_length=1000)] = ()
    parent: Title | None = None
    run_on_all_workers: bool = False
    run_children_on_error: bool = False
    disable_after_failures: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    notify: Addresses = ()
    enabled: bool = True
