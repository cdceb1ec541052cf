"""The shapes of /v1 requests and replies. Times are UTC, sizes megabytes, durations seconds."""

from datetime import date, datetime
from typing import Annotated, Any

import msgspec

from gristmill.domain.job import JobId, JobSpec, Name
from gristmill.domain.outcome import TaskResult


class ResourcesView(msgspec.Struct):
    """What a job asks for, per node."""

    cpus: float
    memory: int
    disk: int
    gpus: int
    nodes: int
    walltime: float | None


class JobView(msgspec.Struct):
    """A job at a glance. command: its first task, shortened.

    workflow, node, instance: where it stands in a workflow; instance counts from 0.
    """

    id: int
    name: str
    group: str
    state: str
    owner: str
    project: str
    dialect: str
    priority: int
    labels: dict[str, str]
    command: str
    resources: ResourcesView
    created_at: datetime
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    reason: str
    attempts: int
    retries_left: int
    agent: int | None
    hostname: str | None
    key: str | None
    workflow: int | None
    node: str | None
    instance: int | None


class TaskView(msgspec.Struct):
    """One task of an attempt; a negative exit code is a signal."""

    exit_code: int | None
    wall_seconds: float
    cpu_seconds: float
    peak_memory_kb: int
    retries: int


class AttemptView(msgspec.Struct):
    """One member of one attempt. rank: its place in a gang, else 0."""

    number: int
    rank: int
    agent: int
    hostname: str | None
    pid: int | None
    cwd: str | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    reason: str
    message: str
    peak_memory: int | None
    cpu_seconds: float | None
    tasks: list[TaskView]
    stdout_size: int
    stderr_size: int


class JobDetail(JobView):
    """A job with all that is known of it. why: a sentence on its state."""

    pid: int | None
    cwd: str | None
    peak_memory: int | None
    cpu_seconds: float | None
    spec: JobSpec
    history: list[AttemptView]
    why: str


class JobPage(msgspec.Struct):
    """Jobs in order; next: pass it as cursor for what follows, null at the end."""

    jobs: list[JobView]
    next: str | None


class SubmittedMany(msgspec.Struct):
    """Ids in the order of the request; added counts those that are new."""

    ids: list[int]
    added: int


class Counts(msgspec.Struct):
    """Jobs by state."""

    counts: dict[str, int]
    total: int


class JobChoice(msgspec.Struct, forbid_unknown_fields=True):
    """Which jobs to change: by id, or by group and states."""

    ids: Annotated[list[JobId], msgspec.Meta(max_length=100_000)] | None = None
    group: Name | None = None
    states: list[str] | None = None


class UnchangedJob(msgspec.Struct):
    """A job that could not be changed, because of its state."""

    id: int
    state: str


class ChangedJobs(msgspec.Struct):
    """What a change came to."""

    changed: list[int]
    unchanged: list[UnchangedJob]


class CapacityView(msgspec.Struct):
    """Amounts of a node."""

    cpus: float
    memory: int
    disk: int
    gpus: int


class AgentView(msgspec.Struct):
    """One agent. free: null while it is not connected."""

    id: int
    name: str
    hostname: str
    state: str
    capacity: CapacityView
    free: CapacityView | None
    running: int
    pools: list[str]
    labels: dict[str, str]
    runtimes: list[str]
    notes: list[str]
    last_seen_at: datetime


class AgentList(msgspec.Struct):
    """Every agent that ever registered."""

    agents: list[AgentView]


class ImageView(msgspec.Struct):
    """A stored container image."""

    name: str
    digest: str
    size: int
    entrypoint: list[str]
    command: list[str]
    workdir: str
    created_at: datetime
    source: str
    notes: list[str]


class ImageList(msgspec.Struct):
    """The stored images, by name."""

    images: list[ImageView]


class NewImage(msgspec.Struct, forbid_unknown_fields=True):
    """An image to add from a path on the server."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]*\Z")]
    entrypoint: list[str] | None = None


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A credential to give out. expires: ``30d``, ``12h`` or seconds; null for the default."""

    user: str
    groups: list[str] = []
    scopes: list[str] | None = None
    expires: str | float | None = None
    api_key: bool = False
    email: str | None = None


class TokenSecret(msgspec.Struct):
    """A fresh credential; its secret is shown this once."""

    id: str
    token: str
    expires_at: datetime | None


class TokenView(msgspec.Struct):
    """A credential in force."""

    id: str
    kind: str
    user: str
    groups: list[str]
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class TokenList(msgspec.Struct):
    """The credentials in force."""

    tokens: list[TokenView]


class ObjectView(msgspec.Struct):
    """A stored object. size: bytes. sha256: of its bytes, in hex."""

    name: str
    size: int
    sha256: str
    modified_at: datetime


class ObjectList(msgspec.Struct):
    """Objects by name. next: give it as after for what follows, null at the end."""

    objects: list[ObjectView]
    next: str | None


class ObjectDetail(msgspec.Struct):
    """An object, and a URL for its bytes that is good for so many seconds."""

    object: ObjectView
    url: str
    expires_in: float


class NewObject(msgspec.Struct, forbid_unknown_fields=True):
    """An object to upload. sha256: what the bytes must have. size: the most they may be."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    group: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    sha256: str | None = None
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class ObjectUpload(msgspec.Struct):
    """Where the bytes are to be PUT, within so many seconds."""

    name: str
    url: str
    expires_in: float


class KeyList(msgspec.Struct):
    """Keys in order. next: give it as after for what follows, null at the end."""

    keys: list[str]
    next: str | None


class UsageView(msgspec.Struct):
    """What one owner used within one project. Seconds; wall_seconds is summed over cores."""

    owner: str
    project: str
    jobs: int
    wall_seconds: float
    cpu_seconds: float


class UsageList(msgspec.Struct):
    """Usage by owner and project, of jobs submitted on these days."""

    start: date
    end: date
    usage: list[UsageView]


class AppliedView(msgspec.Struct):
    """What declarations came to."""

    created: list[str]
    updated: list[str]
    unchanged: int
    pruned: list[str]


class Info(msgspec.Struct):
    """Server and caller. engine: who provides nodes. uptime: seconds. home: for administrators."""

    version: str
    user: str
    scopes: list[str]
    engine: str
    uptime: float
    home: str | None


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """A command to run in a running job. limit: seconds."""

    argv: Annotated[list[str], msgspec.Meta(min_length=1, max_length=1000)]
    limit: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0


class CommandResult(msgspec.Struct):
    """What it came to. exit_code: null when it ran out of time. output: both streams."""

    exit_code: int | None
    output: str


class SnapshotWish(msgspec.Struct, forbid_unknown_fields=True):
    """What to pack: a path in the job's folder, or where an artifact is shown."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Snapshot(msgspec.Struct):
    """Where the packed files are, for so many seconds."""

    url: str
    expires_in: float


class ErrorDetail(msgspec.Struct, omit_defaults=True):
    """What is wrong and where."""

    code: str
    message: str
    field: str = ""
    id: str = ""


class ErrorReply(msgspec.Struct):
    """Every reply of 400 and above."""

    error: ErrorDetail


class EventView(msgspec.Struct):
    """One event; jobs: those it is about."""

    id: int
    at: datetime
    kind: str
    jobs: list[int]
    data: Any


def task_view(result: TaskResult) -> TaskView:
    """Write a task's result out."""
    return TaskView(
        result.exit_code,
        result.wall_seconds,
        result.cpu_seconds,
        result.peak_memory_kb,
        result.retries,
    )
