"""What a person asks for: the job, its tasks, its rules."""

from typing import Annotated, Literal

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.metrics import JOB, Source
from gristmill.domain.resources import Resources, Seconds
from gristmill.domain.retry import RetryPolicy
from gristmill.domain.staging import Credential, Staging, Storage, check_facts, check_staging

Name = Annotated[str, msgspec.Meta(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
LabelName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*\Z")
]
Text = Annotated[str, msgspec.Meta(max_length=4 << 20, pattern=r"^[^\x00]*\Z")]
Script = Annotated[str, msgspec.Meta(max_length=16 << 20, pattern=r"^[^\x00]*\Z")]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]*\Z")]
Variable = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00=]+\Z")]
JobId = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
Shell = Literal["sh", "bash"]
TaskKind = Literal["basic", "openmpi", "mpich", "intelmpi", "sidecar"]
AnyOf = Annotated[tuple[Name, ...], msgspec.Meta(max_length=100)]

MPI_KINDS = frozenset({"openmpi", "mpich", "intelmpi"})

MOST_DEPENDENCIES = 100_000
"""Direct dependencies of one job; a fan-in wider than this goes through a group."""


class Task(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """One command of a job; the tasks of a job run one after another.

    command: text for the shell. argv: words for a direct exec. script: a file to execute, whose
    first line may name its interpreter (``#!``). Exactly one of the three, or none for a
    container image with an entrypoint of its own.
    retries: how often this task alone is repeated while its exit code is not 0.
    kind: a sidecar starts before the others and is ended after them; an MPI task is started by
    that flavour's mpirun from the first node, processes on each (None: one a core).
    nodes: whether a gang runs it on every node or on the first. app: of the image.
    stdout: a file that receives the task's output too, appended. credential: to fetch the image.
    """

    command: Text | None = None
    argv: tuple[Text, ...] = ()
    script: Script | None = None
    image: Word | None = None
    env: dict[Variable, Text] = {}
    workdir: Path | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    kind: TaskKind = "basic"
    processes: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    nodes: Literal["all", "first"] = "all"
    app: Name = ""
    stdout: Path | None = None
    credential: Credential | None = None


class Hook(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """What happens after the tasks ended: run a command or empty the work folder, on the node.

    forget: once the job is buried, it is deleted, unless others wait for it.
    """

    run: Text | None = None
    cleanup: bool = False
    forget: bool = False


class Hooks(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Hooks by outcome; exit hooks come after the others, whatever the outcome."""

    on_success: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_exit: tuple[Hook, ...] = ()


class Workspace(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A folder made for each attempt below the job's cwd.

    path: relative to cwd; digits are appended to make it unique. The job runs in its ``cwd``,
    and its ``tmp`` is $TMPDIR and removed afterwards. home: whether $HOME is that cwd too.
    """

    path: Path
    home: bool = False


class MountTarget(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """One remote place: a bucket with an optional path inside it."""

    profile: Name = ""
    path: Path
    cache: bool = False
    cache_dir: Name = ""
    write: bool = False


class Mount(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Remote file systems shown at one folder while the job runs.

    path: None for the job's working folder.
    """

    path: Path | None = None
    cache_base: Name = ""
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 10
    verbose: bool = False
    targets: Annotated[tuple[MountTarget, ...], msgspec.Meta(min_length=1, max_length=100)]


class Learn(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Let what jobs of a bucket used decide what this one is reckoned to need.

    override: 0 the advice replaces the request, 1 only if it is larger, 2 only what was not
    requested. disk_given: whether disk was requested, be it as 0. seconds: the running time the
    submitter expects; no limit.
    """

    bucket: Word
    seconds: Annotated[float, msgspec.Meta(ge=0, le=10 * 365 * 86400)] = 3600.0
    override: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    disk_given: bool = False


class GoalLine(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A line that says the work is done: of standard output, in any letter case.

    All members then have grace seconds to leave, and the job succeeds however they end.
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern=r"^[^\x00\n]*\Z")]
    grace: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0


class JobSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Everything a submitter says about one job.

    command: shorthand for a single task. tasks: one or more, run in order.
    group: what it is reported under. dep_groups: groups others may wait for.
    after: ids of jobs that must succeed first; after_any: ids that must only have ended;
    after_groups: groups of which every live member must succeed first.
    mutex: at most one job with this word runs at a time.
    delay: seconds before it may start. queue_timeout: seconds it may wait to be started.
    cwd: None for an own scratch folder, kept when the job leaves something in it.
    workspace: a folder below cwd for each attempt. create_cwd: make cwd when it is missing.
    keep_output: whether the output of a job that succeeded is kept too.
    merge_output: stderr goes where stdout goes, in the order it was written.
    kill_buries: a job that is killed while it runs is buried, not cancelled.
    bury_impossible: bury it when it asks for more than any node has, instead of waiting.
    kill_over_memory: end it when its process tree holds more than the memory asked for;
    ``when_scarce``: only while the node is short of memory too.
    stays_listed: once it has ended it stays among its owner's current jobs until dismissed.
    key: identity of the work; a second live job with the same key is not added.
    sandbox: its folder is its home (in containers /home/user) and removed after it; its tasks
    share a /tmp of their own. facts: variable -> template such as ``{url}/v1``, see FACTS;
    substitute: those variables that are replaced, as ``$NAME``, in argv and workdir.
    ignore_task_failures: go on after a failed task. nonzero_succeeds: exit codes of tasks do
    not make the job fail. fail_unmatched: bury it after a moment when no agent could ever run it.
    notify: mail the address of the submitter's credential, if it has one, when the job has ended.
    require: label -> values of which the agent has one. prefer: label -> values, best first.
    distributed: each member is a rank of a training run and is told so as torchrun would, also
    when it is the only one. goal: what it prints when the work is done.
    usage_sources: of each rank in order, the metrics source that samples of its use go to.
    bandwidth: Mbit/s that each rank may send to the others, where the node can limit that.
    watch_container: a container that the job has docker or podman start: its name, a file with
    its id, or ``?`` for the first that starts after the job. What it uses counts as the job's, and
    it ends with the job.
    """

    command: Text | None = None
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(max_length=1000)] = ()
    name: Name = ""
    group: Name = ""
    project: Name = ""
    labels: Annotated[dict[LabelName, Name], msgspec.Meta(max_length=100)] = {}
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = 0
    resources: Resources = Resources()
    env: dict[Variable, Text] = {}
    cwd: Path | None = None
    shell: Shell = "sh"
    image: Word | None = None
    retry: RetryPolicy = RetryPolicy()
    hooks: Hooks = Hooks()
    pool: Name = ""
    constraints: Annotated[dict[Word, Name], msgspec.Meta(max_length=100)] = {}
    after: Annotated[tuple[JobId, ...], msgspec.Meta(max_length=MOST_DEPENDENCIES)] = ()
    after_any: Annotated[tuple[JobId, ...], msgspec.Meta(max_length=MOST_DEPENDENCIES)] = ()
    after_groups: Annotated[tuple[Word, ...], msgspec.Meta(max_length=1000)] = ()
    dep_groups: Annotated[tuple[Word, ...], msgspec.Meta(max_length=1000)] = ()
    mutex: Name = ""
    delay: Annotated[float, msgspec.Meta(ge=0, le=10 * 365 * 86400)] = 0.0
    queue_timeout: Seconds | None = None
    kill_over_memory: bool | Literal["when_scarce"] = True
    key: Word | None = None
    workspace: Workspace | None = None
    create_cwd: bool = False
    keep_output: Literal["always", "failure"] = "always"
    merge_output: bool = False
    kill_buries: bool = False
    bury_impossible: bool = False
    learn: Learn | None = None
    mounts: Annotated[tuple[Mount, ...], msgspec.Meta(max_length=100)] = ()
    distributed: bool = False
    goal: GoalLine | None = None
    usage_sources: Annotated[tuple[Source, ...], msgspec.Meta(max_length=10_000)] = ()
    bandwidth: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000_000)] | None = None
    watch_container: Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00]*\Z")] = ""
    sandbox: bool = False
    staging: Staging | None = None
    storage: Annotated[tuple[Storage, ...], msgspec.Meta(max_length=100)] = ()
    facts: Annotated[dict[Variable, Name], msgspec.Meta(max_length=100)] = {}
    substitute: Annotated[tuple[Variable, ...], msgspec.Meta(max_length=100)] = ()
    ignore_task_failures: bool = False
    nonzero_succeeds: bool = False
    fail_unmatched: bool = False
    stays_listed: bool = False
    notify: bool = False
    require: Annotated[dict[Word, AnyOf], msgspec.Meta(max_length=100)] = {}
    prefer: Annotated[dict[Word, AnyOf], msgspec.Meta(max_length=100)] = {}


def tasks_of(spec: JobSpec) -> tuple[Task, ...]:
    """Return the tasks of a job, with the single-command shorthand written out."""
    if spec.command is not None:
        return (Task(command=spec.command, image=spec.image),)
    if spec.tasks:
        return spec.tasks
    return (Task(image=spec.image),)


def limits_bandwidth(spec: JobSpec) -> bool:
    """Whether a node that can is to limit what ranks send: not those that an mpirun starts."""
    parallel = any(task.kind in MPI_KINDS for task in spec.tasks)
    return spec.bandwidth is not None and not parallel and not spec.sandbox


def check_spec(spec: JobSpec, field: str = "") -> None:
    """Check what the types alone cannot.

    field: prefix of the names in errors, such as ``jobs[3].``.
    Raises InvalidInputError.
    """
    _check_tasks(spec, field)
    if spec.cwd is not None and not spec.cwd.startswith(("/", "~/")) and spec.cwd != "~":
        raise InvalidInputError(f"must be an absolute path, not {spec.cwd!r}", f"{field}cwd")
    if spec.workspace is not None:
        _check_workspace(spec, spec.workspace, field)
    _check_sources(spec, field)
    _check_sandbox(spec, field)
    if any(cpus < spec.resources.cpus for cpus in spec.resources.cpu_choices):
        raise InvalidInputError("must not be below cpus", f"{field}resources.cpu_choices")
    if spec.facts:
        check_facts(spec.facts, f"{field}facts")
    if spec.dep_groups and spec.after_groups:
        both = set(spec.dep_groups).intersection(spec.after_groups)
        if both:
            raise InvalidInputError(
                f"the job would wait for itself through {min(both)!r}",
                f"{field}after_groups",
            )


def _check_sources(spec: JobSpec, field: str) -> None:
    for number, source in enumerate(spec.usage_sources):
        if source.startswith(JOB):
            raise InvalidInputError(
                f"names of the form {JOB}ID are the jobs' own, not {source!r}",
                f"{field}usage_sources[{number}]",
            )


def _check_sandbox(spec: JobSpec, field: str) -> None:
    if spec.staging is not None:
        if not spec.sandbox:
            raise InvalidInputError("staging needs a sandbox", f"{field}staging")
        check_staging(spec.staging, f"{field}staging")
    if spec.sandbox and spec.cwd is not None:
        raise InvalidInputError("a sandbox is the job's folder: leave cwd out", f"{field}cwd")


def _check_tasks(spec: JobSpec, field: str) -> None:
    if spec.command is not None:
        if spec.tasks:
            raise InvalidInputError("give either command or tasks, not both", f"{field}tasks")
        if not spec.command.strip():
            raise InvalidInputError("the command is empty", f"{field}command")
    elif spec.tasks:
        for number, task in enumerate(spec.tasks):
            _check_task(task, spec.image, f"{field}tasks[{number}]")
        if all(task.kind == "sidecar" for task in spec.tasks):
            raise InvalidInputError("a job needs a task besides sidecars", f"{field}tasks")
    elif spec.image is None:
        raise InvalidInputError("give a command, or tasks", f"{field}command")


def _check_workspace(spec: JobSpec, workspace: Workspace, field: str) -> None:
    parts = workspace.path.split("/")
    if workspace.path.startswith("/") or ".." in parts:
        raise InvalidInputError(
            f"must be a path below cwd, not {workspace.path!r}", f"{field}workspace.path"
        )
    if spec.cwd is None:
        raise InvalidInputError("a workspace needs a cwd to be made in", f"{field}cwd")


def _check_task(task: Task, image: str | None, field: str) -> None:
    ways = [task.command is not None, bool(task.argv), task.script is not None]
    if sum(ways) > 1:
        raise InvalidInputError("give only one of command, argv and script", field)
    if task.script is not None and (task.image or image):
        raise InvalidInputError("a script runs on the node, not in an image", field)
    if not any(ways) and not (task.image or image):
        raise InvalidInputError(
            "give a command, argv, a script or an image with an entrypoint", field
        )
    if task.argv and not task.argv[0]:
        raise InvalidInputError("the first word is empty", f"{field}.argv")
    if task.kind in MPI_KINDS and not task.argv:
        raise InvalidInputError("an MPI task needs argv", f"{field}.argv")
    if task.kind == "sidecar" and task.retries:
        raise InvalidInputError("a sidecar is not repeated", f"{field}.retries")
