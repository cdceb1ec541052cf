"""The server's replies as values. Times are UTC, sizes megabytes, durations seconds."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypedDict

import msgspec

from gristmill.domain.job import JobSpec
from gristmill.domain.resources import Resources
from gristmill.domain.state import ACTIVE, BY_WORD, TERMINAL

State = Literal[
    "waiting",
    "delayed",
    "ready",
    "reserved",
    "running",
    "lost",
    "buried",
    "complete",
    "cancelled",
]
StreamName = Literal["stdout", "stderr"]


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Point(_Reply, frozen=True, kw_only=True):
    """One measurement. value: the text that was sent, or a mean."""

    at: datetime
    value: str
    metadata: str = ""
    cumulative: bool = False


class Series(_Reply, frozen=True, kw_only=True):
    """Points by series."""

    source: str
    series: dict[str, list[Point]]


class NewPoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A point to record; give job or source. at: epoch seconds, None for now."""

    name: str
    value: str | float
    job: int | None = None
    source: str | None = None
    at: float | None = None
    metadata: str = ""
    cumulative: bool = False


class JobView(_Reply, frozen=True, kw_only=True):
    """One job as lists show it. command: the first task's text, shortened.

    ready_at: the time a delayed job waits for. attempts: how often it was started. workflow,
    node, instance: where it stands in a workflow, if it is part of one.
    """

    id: int
    name: str
    group: str
    state: State
    owner: str
    project: str
    dialect: str
    priority: int
    labels: dict[str, str]
    command: str
    resources: Resources
    created_at: datetime
    ready_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    attempts: int = 0
    retries_left: int = 0
    agent: int | None = None
    hostname: str | None = None
    pid: int | None = None
    cwd: str | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    key: str | None = None
    workflow: int | None = None
    node: str | None = None
    instance: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the job will not run again by itself."""
        return BY_WORD[self.state] in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether the job is complete."""
        return self.state == "complete"


class TaskOutcome(_Reply, frozen=True, kw_only=True):
    """How one task of an attempt ended; a negative exit code is a signal."""

    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    peak_memory_kb: int
    retries: int = 0


class Attempt(_Reply, frozen=True, kw_only=True):
    """One execution of a job, or one member of it in a gang.

    message: more about the reason. stdout_size, stderr_size: bytes.
    """

    number: int
    rank: int = 0
    agent: int | None = None
    hostname: str | None = None
    pid: int | None = None
    cwd: str | None = None
    reserved_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    tasks: tuple[TaskOutcome, ...] = ()
    stdout_size: int | None = None
    stderr_size: int | None = None


class JobDetail(JobView, frozen=True, kw_only=True):
    """A job with what was asked for, every attempt, and why it stands where it does."""

    spec: JobSpec
    history: tuple[Attempt, ...]
    why: str


class Page(_Reply, frozen=True, kw_only=True):
    """A piece of a list. next: the cursor of the following piece, None at the end."""

    jobs: tuple[JobView, ...]
    next: str | None = None


class Submitted(_Reply, frozen=True, kw_only=True):
    """The ids of a batch in its order. added: how many of them are new."""

    ids: tuple[int, ...]
    added: int


class Counts(_Reply, frozen=True, kw_only=True):
    """How many jobs are in each state."""

    counts: dict[str, int]
    total: int

    @property
    def active(self) -> int:
        """How many have not ended yet."""
        return sum(self.counts.get(state.word, 0) for state in ACTIVE)

    @property
    def succeeded(self) -> int:
        """How many are complete."""
        return self.counts.get("complete", 0)


class Unchanged(_Reply, frozen=True, kw_only=True):
    """A job that a change did not apply to, and the state that was in the way."""

    id: int
    state: State


class Changed(_Reply, frozen=True, kw_only=True):
    """What became of a change of many jobs."""

    changed: tuple[int, ...]
    unchanged: tuple[Unchanged, ...] = ()


class Output(_Reply, frozen=True, kw_only=True):
    """A piece of a stream. next_offset: where it goes on. ended: no more will be written."""

    data: bytes
    next_offset: int
    ended: bool


class Event(_Reply, frozen=True, kw_only=True):
    """Something that happened, such as ``job.complete`` or ``agent.online``."""

    id: int
    at: datetime
    kind: str
    jobs: tuple[int, ...] = ()
    data: dict[str, Any] = {}


class Amounts(_Reply, frozen=True, kw_only=True):
    """What a node has: cores, megabytes, megabytes, devices."""

    cpus: float
    memory: int
    disk: int
    gpus: int


class AgentView(_Reply, frozen=True, kw_only=True):
    """A node's agent. free: None while it is away. notes: what it does without, and why."""

    id: int
    name: str
    hostname: str
    state: Literal["online", "lost", "offline", "draining"]
    capacity: Amounts
    free: Amounts | None
    running: int
    pools: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    runtimes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    last_seen_at: datetime | None = None


class ObjectView(_Reply, frozen=True, kw_only=True):
    """A stored object. size: bytes. sha256: of its bytes, in hex."""

    name: str
    size: int
    sha256: str
    modified_at: datetime


class ObjectPage(_Reply, frozen=True, kw_only=True):
    """Some objects by name. next: the name to go on after, None at the end."""

    objects: tuple[ObjectView, ...]
    next: str | None = None


class ObjectPlace(_Reply, frozen=True, kw_only=True):
    """A URL for an object's bytes that needs no token. expires_in: seconds."""

    url: str
    expires_in: float


class UsageView(_Reply, frozen=True, kw_only=True):
    """What one owner used within one project; wall_seconds is summed over cores."""

    owner: str
    project: str
    jobs: int
    wall_seconds: float
    cpu_seconds: float


class Usage(_Reply, frozen=True, kw_only=True):
    """What was used by jobs submitted on these days, both included."""

    start: date
    end: date
    usage: tuple[UsageView, ...]


class ImageView(_Reply, frozen=True, kw_only=True):
    """An image the server's nodes can run. entrypoint, command: what it runs by itself."""

    name: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    workdir: str = "/"
    digest: str = ""
    size: int | None = None
    created_at: datetime | None = None
    source: str = ""
    notes: tuple[str, ...] = ()


class TokenView(_Reply, frozen=True, kw_only=True):
    """An access token, without its secret. kind: ``jwt`` or ``api_key``."""

    id: str
    user: str
    kind: str = ""
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    email: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None


class NewToken(_Reply, frozen=True, kw_only=True):
    """A token just made; the secret is never shown again."""

    id: str
    token: str
    expires_at: datetime | None = None


class Applied(_Reply, frozen=True, kw_only=True):
    """What a declaration changed, objects as ``user alice``; unchanged: how many were as said."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: int = 0
    pruned: tuple[str, ...] = ()


class Info(_Reply, frozen=True, kw_only=True):
    """The server and who we are to it. uptime: seconds. home: shown to administrators."""

    version: str
    user: str
    scopes: tuple[str, ...] = ()
    engine: str = ""
    uptime: float = 0.0
    home: str | None = None


class ScheduleGlance(_Reply, frozen=True, kw_only=True):
    """A schedule in a list. active: no switch above it is off. due: of the run that waits."""

    id: int
    name: str
    project: str
    template: str
    pool: str
    parent: int | None = None
    every: dict[str, Any] | None = None
    cron: str | None = None
    enabled: bool = True
    active: bool = True
    failures: int = 0
    due: datetime | None = None


class Schedule(_Reply, frozen=True, kw_only=True):
    """A schedule. next: the next times that are known. rendered: its script in its template."""

    id: int
    name: str
    project: str
    template: str
    pool: str
    parent: int | None = None
    children: tuple[int, ...] = ()
    description: str = ""
    script: str = ""
    rendered: str = ""
    every: dict[str, Any] | None = None
    cron: str | None = None
    timezone: str = ""
    jitter: float = 0.0
    catch_up: str = "one"
    exclude: tuple[dict[str, Any], ...] = ()
    run_on_all_workers: bool = False
    run_children_on_error: bool = False
    disable_after_failures: int | None = None
    notify: tuple[str, ...] = ()
    enabled: bool = True
    active: bool = True
    failures: int = 0
    succeeded: int = 0
    failed: int = 0
    next: tuple[datetime, ...] = ()


class SchedulePage(_Reply, frozen=True, kw_only=True):
    """Some schedules; total: of all pages."""

    schedules: tuple[ScheduleGlance, ...]
    total: int


class Run(_Reply, frozen=True, kw_only=True):
    """A run of a schedule; its id is that of its job. set: shared by runs made together."""

    id: int
    schedule: int
    set: int
    state: str
    due_at: datetime
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    returned_at: datetime | None = None
    success: bool | None = None
    pid: int | None = None
    worker: int | None = None
    manual: bool = False
    chains: bool = True


class RunPage(_Reply, frozen=True, kw_only=True):
    """Some runs; total: of all pages."""

    runs: tuple[Run, ...]
    total: int


class JobFilters(TypedDict, total=False):
    """What a list of jobs is narrowed by. limit: jobs fetched at a time, at most 1000."""

    state: Sequence[str]
    ids: Sequence[int]
    group: str | None
    owner: str | None
    name: str | None
    label: Mapping[str, str]
    dialect: str | None
    workflow: int | None
    order: Literal["oldest", "newest"]
    limit: int


class Where(TypedDict, total=False):
    """A place in a job's output: bytes, the attempt's number (else the last), the gang's rank."""

    offset: int
    limit: int | None
    attempt: int | None
    rank: int


class TokenWish(TypedDict, total=False):
    """What a token is to be good for. expires: seconds from now, or text such as ``30d``."""

    groups: Sequence[str]
    scopes: Sequence[str]
    expires: str | float | None
    api_key: bool
    email: str | None
