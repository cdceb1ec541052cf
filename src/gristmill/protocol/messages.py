"""What agents and the server say to each other.

Everything is msgpack with positional fields: append new fields at the end, with defaults, and
raise PROTOCOL_VERSION when an old peer could misread them.
"""

from enum import IntEnum

import msgspec

from gristmill.domain.outcome import AttemptDetails, TaskResult
from gristmill.domain.resources import Capacity

PROTOCOL_VERSION = 1


class Stream(IntEnum):
    """An output stream of a member. The numbers are stored; never renumber."""

    STDOUT = 1
    STDERR = 2


def output_name(job: int, attempt: int, rank: int, stream: Stream) -> str:
    """Name of the file that holds a large output, on the agent's side and on the server's."""
    return f"{job}.{attempt}.{rank}.{'out' if stream is Stream.STDOUT else 'err'}"


class _Message(msgspec.Struct, array_like=True, frozen=True):
    pass


class Held(_Message, frozen=True):
    """One member of an attempt that an agent has, queued or running."""

    job: int
    attempt: int
    rank: int = 0


class Register(_Message, frozen=True):
    """An agent introduces itself, at its start and whenever it lost the server.

    node: stable id of this agent's home. instance: new at every agent start.
    boot_id, pid, process_start: tell a server on the same machine which process this is.
    shares_files: the server can read the agent's output files by path.
    held: members it has, queued or running; the server forgets any other it thought were there.
    ended: members of which the result is still to be reported.
    """

    version: int
    node: str
    instance: str
    hostname: str
    address: str
    boot_id: str
    pid: int
    process_start: float
    shares_files: bool
    capacity: Capacity
    labels: dict[str, str]
    pools: list[str]
    runtimes: list[str]
    notes: list[str]
    held: list[Held]
    ended: list[Held]


class Registered(_Message, frozen=True):
    """The server's answer: the agent's number, and members it must end without a report.

    url: under which jobs reach the server.
    """

    agent: int
    heartbeat: float
    drop: list[Held]
    url: str = ""


class GangPlace(_Message, frozen=True):
    """Where a member stands in its gang. hosts: one a rank, in rank order."""

    size: int
    hosts: list[str]
    port: int


class Lease(_Message, frozen=True):
    """One member of a job to run.

    spec: the stored msgpack of a JobSpec. need: what to reckon with, where that was learned.
    """

    job: int
    attempt: int
    rank: int
    shape: int
    spec: msgspec.Raw
    env: dict[str, str]
    gang: GangPlace | None = None
    need: Capacity | None = None


class ReadOutput(_Message, frozen=True):
    """The server wants bytes of a running member's output; answered under this request id."""

    request: int
    job: int
    attempt: int
    rank: int
    stream: Stream
    offset: int
    limit: int


class LeaseRequest(_Message, frozen=True):
    """What the agent could take now.

    number: grows with each request; sent again with the same number when the reply was lost,
    it gets the same reply. free: what is not in use. hot: shape -> how many more than fit now
    it would start within a fraction of a second, so that short commands never wait for a round
    trip. wait: seconds the server may hold the request.
    """

    agent: int
    instance: str
    number: int
    free: Capacity
    hot: dict[int, int]
    wait: float


class Order(_Message, frozen=True):
    """The server wants something done in a running member; answered under this request id.

    words: a command to run in its container, at most limit seconds. Without words, the file or
    folder at path is packed and sent to url.
    """

    request: int
    job: int
    attempt: int
    words: list[str]
    limit: float = 10.0
    path: str = ""
    url: str = ""


class OrderResult(_Message, frozen=True):
    """What came of an order. code: exit code, None when it ran out of time.

    error: why nothing was done at all. absent: because the member, or a task of it, does not run.
    """

    code: int | None = None
    output: bytes = b""
    error: str = ""
    absent: bool = False


class LeaseReply(_Message, frozen=True):
    """Work and orders. stop: leave once nothing is held.

    wind_down: members whose gang has reached its goal.
    release: members that wait for the first of their gang, which has ended well.
    end_all: end what runs and give back what has not begun: the server stops.
    """

    leases: list[Lease]
    kill: list[Held]
    read: list[ReadOutput]
    stop: bool = False
    wind_down: list[Held] = []
    release: list[Held] = []
    orders: list[Order] = []
    end_all: bool = False


class Output(_Message, frozen=True):
    """The whole of one finished stream: its size and either its bytes or where they are.

    data: when small. path: the agent's file otherwise; beside the server it is in the server's
    own outputs folder, from elsewhere it was uploaded before. Its name is that of output_name.
    """

    size: int
    data: bytes = b""
    path: str = ""


class Started(_Message, frozen=True):
    """A member has a process."""

    job: int
    attempt: int
    rank: int
    at: float
    pid: int
    cwd: str


class Finished(_Message, frozen=True):
    """A member has ended; sent again until it is acknowledged.

    started_at: None when no process ever ran. exit_code: of the last task, negative for a
    signal, None when none ran. peak_memory: megabytes. cpu: seconds. disk: megabytes it left in a
    folder of its own, 0 also where that was not measured.
    """

    job: int
    attempt: int
    rank: int
    shape: int
    succeeded: bool
    exit_code: int | None
    reason: str
    started_at: float | None
    ended_at: float
    pid: int
    cwd: str
    peak_memory: int
    cpu: float
    tasks: list[TaskResult]
    stdout: Output | None = None
    stderr: Output | None = None
    message: str = ""
    details: AttemptDetails | None = None
    disk: int = 0


class UsageSample(_Message, frozen=True):
    """What a member used at a moment, epoch seconds.

    cpu: seconds so far, of which user and system. memory, resident: bytes now, with shared pages
    counted once a tree and once a process. read, written: bytes of storage so far, in reads and
    writes operations. received, sent: bytes of its network since it began.
    """

    job: int
    attempt: int
    rank: int
    at: float
    cpu: float
    user: float
    system: float
    memory: int
    peak_memory: int
    resident: int
    read: int
    written: int
    reads: int
    writes: int
    received: int
    sent: int
    started_at: float


class Report(_Message, frozen=True):
    """What happened on the agent since its last acknowledged report.

    request, free, hot: bring the lease request of that number up to date while it waits.
    returned: members given back without having begun. goals: members that said they were done.
    usages: samples of members that are measured; one that is lost is not sent again.
    leaving: the agent takes no more work, and leaves once what it holds has ended.
    """

    agent: int
    instance: str
    started: list[Started]
    finished: list[Finished]
    request: int
    free: Capacity
    hot: dict[int, int]
    returned: list[Held] = []
    goals: list[Held] = []
    usages: list[UsageSample] = []
    leaving: bool = False


class ReportReply(_Message, frozen=True):
    """Everything in the report is on disk. drop: members to end without a further report."""

    drop: list[Held]


class Question(_Message, frozen=True):
    """An agent asks about a member it is about to run, or whose outputs it is about to store.

    outputs: names under which files are to be stored; empty when it is about to run.
    """

    agent: int
    instance: str
    held: Held
    outputs: list[str] = []


class Preparation(_Message, frozen=True):
    """What a member needs that is not in its spec.

    url: the server as jobs reach it. token: speaks for the job's owner while the attempt runs.
    logins: task number -> user name and token at the image's registry. secrets: one for each
    storage. objects: where stored objects of the spec are fetched. workflow: 0 for none.
    """

    url: str
    token: str
    logins: dict[int, tuple[str, str]]
    secrets: list[str]
    objects: dict[str, str]
    workflow: int = 0


class Places(_Message, frozen=True):
    """Where outputs are sent, in the order of the question."""

    urls: list[str]
