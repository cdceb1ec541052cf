"""One member of a job on this agent, from lease to report."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gristmill.agent.census import MemberProcesses
from gristmill.agent.sandbox import NOT_PULLED, Pulled, Sandbox
from gristmill.agent.slots import Slot
from gristmill.agent.steps import Step
from gristmill.agent.tee import Tees
from gristmill.agent.workspace import Workspace
from gristmill.containers.images import ImageLease
from gristmill.domain.job import JobSpec, tasks_of
from gristmill.domain.outcome import CANCELLED_BY_USER, GOAL_REACHED, TaskResult
from gristmill.domain.resources import Capacity
from gristmill.protocol.messages import Held, Lease

if TYPE_CHECKING:
    from gristmill.agent.mounts import MemberMounts
    from gristmill.agent.watched_containers import Watched

Key = tuple[int, int, int]


@dataclass(slots=True)
class Member:
    """What the agent knows of one member.

    steps: what is still to run; current: what runs. peak_kb, cpu: from the kernel at the end of
    each step; sampled_kb, sampled_cpu: of the whole tree while it ran. watched: the process
    whose step is looked after; look_at: when its usage is looked at next, if not before.
    cause: why the agent itself ends it, empty while it does not.
    goal_seen: bytes of its output looked through for its goal line; goal_at: when it, or another
    of its gang, wrote that.
    no_room: its volume was full when it failed.
    removals: steps that wait until nothing is mounted.
    times: monotonic seconds, started_at: epoch seconds.
    sidecars: processes that end with the tasks. waits: whether it has to be released by the
    first of its gang. ran: whether a task began. original: the current step as it was wished
    for. pull: how its image was had. tokens: names of its containers. stage: what is awaited
    between two steps.
    container: one that it has a service start. disk: megabytes it left, once they are known.
    entry: words that lead a command into the network of its run.
    begun: what the journal knows of it, once it has a process.
    """

    lease: Lease
    spec: JobSpec
    need: Capacity
    came: float = 0.0
    steps: list[Step] = field(default_factory=list)
    current: Step | None = None
    pid: int = 0
    first_pid: int = 0
    env: dict[str, str] = field(default_factory=dict)
    slot: Slot | None = None
    cwd: str = ""
    scratch_stamp: int | None = None
    workspace: Workspace | None = None
    gpus: list[int] = field(default_factory=list)
    started_at: float | None = None
    began: float = 0.0
    step_began: float = 0.0
    results: list[TaskResult] = field(default_factory=list)
    tries: int = 0
    peak_kb: int = 0
    cpu: float = 0.0
    sampled_kb: int = 0
    sampled_cpu: float = 0.0
    watched: int = 0
    look_at: float = 0.0
    cause: str = ""
    message: str = ""
    ending: "asyncio.Task[None] | None" = None
    processes: MemberProcesses | None = None
    image: ImageLease | None = None
    image_name: str = ""
    engine_folder: str | None = None
    hooks_due: bool = True
    goal_seen: int = 0
    goal_at: float | None = None
    mounts: "MemberMounts | None" = None
    removals: list[Step] = field(default_factory=list)
    failed: bool = False
    no_room: bool = False
    sandbox: Sandbox | None = None
    stage: "asyncio.Task[None] | None" = None
    sidecars: set[int] = field(default_factory=set)
    waits: bool = False
    released: bool = False
    ran: bool = False
    tees: Tees | None = None
    pull: Pulled = NOT_PULLED
    tokens: set[str] = field(default_factory=set)
    original: Step | None = None
    container: "Watched | None" = None
    disk: int | None = None
    entry: list[str] = field(default_factory=list)
    begun: Held | None = None

    @property
    def key(self) -> Key:
        """Job, attempt and rank."""
        return (self.lease.job, self.lease.attempt, self.lease.rank)

    @property
    def succeeded(self) -> bool:
        """Whether every command did what it should.

        One that was told to end and yet came to a good end counts where a kill only buries, and
        one that has reached its goal however it ended.
        """
        if self.goal_at is not None and self.cause in {"", GOAL_REACHED}:
            return True
        failed = self.failed and not self.spec.nonzero_succeeds
        if failed or not (self.results or self.released):
            return False
        if not self.cause:
            return True
        at_its_end = len(self.results) == len(tasks_of(self.spec))
        return self.cause == CANCELLED_BY_USER and self.spec.kill_buries and at_its_end

    @property
    def held(self) -> Held:
        """How the server calls it."""
        return Held(*self.key)

    @property
    def excused(self) -> float:
        """Seconds since it began that do not count as running."""
        return 0.0 if self.sandbox is None else self.sandbox.excused

    def note_process(self, pid: int) -> None:
        """Take note that a process of it lives or lived; without one, there is none to end."""
        if self.first_pid == 0:
            self.first_pid = self.pid = pid

    def fail(self, reason: str, message: str) -> None:
        """Let it fail, for this reason if there is none yet."""
        self.failed = True
        self.steps.clear()
        if not self.cause:
            self.cause, self.message = reason, message

    def release_image(self) -> None:
        """Let go of the image of the last container step."""
        if self.image is not None:
            self.image.release()
            self.image = None
