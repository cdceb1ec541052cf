"""What a person asks for: the job, its tasks, its rules."""

from typing import Annotated, Literal

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.resources import Resources, Seconds
from gristmill.domain.retry import RetryPolicy

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
    """

    command: Text | None = None
    argv: tuple[Text, ...] = ()
    script: Script | None = None
    image: Word | None = None
    env: dict[Variable, Text] = {}
    workdir: Path | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class Hook(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """What happens on the node after the tasks ended: run a command or empty the work folder."""

    run: Text | None = None
    cleanup: bool = False


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
    kill_over_memory: end it when its process tree holds more than the memory asked for.
    key: identity of the work; a second live job with the same key is not added.
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
    kill_over_memory: bool = True
    key: Word | None = None
    workspace: Workspace | None = None
    create_cwd: bool = False
    keep_output: Literal["always", "failure"] = "always"
    merge_output: bool = False
    kill_buries: bool = False
    bury_impossible: bool = False
    learn: Learn | None = None
    mounts: Annotated[tuple[Mount, ...], msgspec.Meta(max_length=100)] = ()


def tasks_of(spec: JobSpec) -> tuple[Task, ...]:
    """Return the tasks of a job, with the single-command shorthand written out."""
    if spec.command is not None:
        return (Task(command=spec.command, image=spec.image),)
    if spec.tasks:
        return spec.tasks
    return (Task(image=spec.image),)


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
    if spec.dep_groups and spec.after_groups:
        both = set(spec.dep_groups).intersection(spec.after_groups)
        if both:
            raise InvalidInputError(
                f"the job would wait for itself through {min(both)!r}",
                f"{field}after_groups",
            )


def _check_tasks(spec: JobSpec, field: str) -> None:
    if spec.command is not None:
        if spec.tasks:
            raise InvalidInputError("give either command or tasks, not both", f"{field}tasks")
        if not spec.command.strip():
            raise InvalidInputError("the command is empty", f"{field}command")
    elif spec.tasks:
        for number, task in enumerate(spec.tasks):
            _check_task(task, spec.image, f"{field}tasks[{number}]")
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
