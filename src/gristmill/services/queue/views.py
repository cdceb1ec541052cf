"""Jobs as people look at them, and what they may ask for."""

from typing import NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.outcome import AttemptDetails, TaskResult
from gristmill.domain.state import PENDING, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobRow
from gristmill.store.workflows import Place

MOST_A_PAGE = 1_000


class JobFilter(NamedTuple):
    """What to list; None and empty mean: any.

    current: those that have not ended, or stay listed after that.
    """

    states: tuple[JobState, ...] = ()
    group: str | None = None
    owner: str | None = None
    name: str | None = None
    key: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    dialect: Dialect | None = None
    ids: tuple[int, ...] | None = None
    workflow: int | None = None
    current: bool = False


class Words(NamedTuple):
    """The interned words of a job, written out."""

    owner: str
    group: str
    project: str


class Expected(NamedTuple):
    """What is reckoned with for a job; once it is leased, what it was leased for.

    Megabytes, seconds (0: unknown), megabytes.
    """

    memory: int
    seconds: float
    disk: int


class Listed(NamedTuple):
    """One job and its words. place: in the workflow it is part of, if it is."""

    row: JobRow
    words: Words
    expected: Expected
    place: Place | None = None


class Page(NamedTuple):
    """Jobs in order; cursor: give it back for what follows, None at the end."""

    jobs: list[Listed]
    cursor: int | None


class AttemptView(NamedTuple):
    """One member of one attempt. Times are epoch seconds, sizes megabytes."""

    number: int
    rank: int
    agent_id: int
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str | None
    message: str | None
    pid: int | None
    cwd: str | None
    peak_memory: int | None
    cpu_seconds: float | None
    tasks: list[TaskResult]
    details: AttemptDetails | None = None


def listed(core: QueueCore, tx: Transaction, row: JobRow) -> Listed:
    """Return a job with its words written out."""
    words, head = core.words, row.head
    shape = core.shapes.by_id[head.shape_id]
    expected = Expected(shape.memory, shape.seconds, shape.disk)
    if row.reckoned is not None and head.state not in PENDING:
        expected = Expected(*row.reckoned)
    return Listed(
        row,
        Words(
            words.text(tx, head.owner_id),
            words.text(tx, head.group_id),
            words.text(tx, head.project_id),
        ),
        expected,
        _place(core, tx, row),
    )


def _place(core: QueueCore, tx: Transaction, row: JobRow) -> Place | None:
    if row.head.node_id is None:
        return None
    return core.nodes.get(tx, row.head.node_id).place(row.instance or 0)
