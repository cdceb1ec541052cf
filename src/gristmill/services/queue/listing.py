"""Jobs as people look at them: one, many by page, counts, and why one is not running."""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.outcome import TaskResult
from gristmill.domain.shape import suits
from gristmill.domain.state import BUCKETS, HELD, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.registry import Registry
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobRow, get_rows

MOST_A_PAGE = 1_000
MOST_SCANNED = 20_000
"""Candidates looked at for one page; a page may come back short, with a cursor to go on."""

FIRST, LAST = 0, (1 << 63) - 1
_decode_tasks = msgspec.msgpack.Decoder(list[TaskResult]).decode


class JobFilter(NamedTuple):
    """What to list; None and empty mean: any."""

    states: tuple[JobState, ...] = ()
    group: str | None = None
    owner: str | None = None
    name: str | None = None
    key: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    dialect: Dialect | None = None
    ids: tuple[int, ...] | None = None


class Words(NamedTuple):
    """The interned words of a job, written out."""

    owner: str
    group: str
    project: str


class Listed(NamedTuple):
    """One job and its words."""

    row: JobRow
    words: Words


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


class Listing:
    """Reads; every method sees one consistent snapshot."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry

    async def get(self, who: Identity, job: int) -> Listed:
        """Return one job. Raises NotFoundError, also for somebody else's."""
        return await self._core.database.read(lambda tx: self.get_in(tx, who, job))

    def get_in(self, tx: Transaction, who: Identity, job: int) -> Listed:
        """Return one job within a transaction."""
        row = get_rows(tx, [job]).get(job)
        if row is None or not self._may_see(tx, who, row):
            raise NotFoundError(f"there is no job {job}")
        return self._listed(tx, row)

    async def attempts(self, job: int) -> list[AttemptView]:
        """Return the attempts of a job that have begun, oldest first."""
        return await self._core.database.read(lambda tx: _attempts(tx, job))

    async def output_sizes(self, job: int) -> dict[tuple[int, int, int], int]:
        """Return (attempt, rank, stream) -> bytes of finished streams that are not empty."""

        def work(tx: Transaction) -> dict[tuple[int, int, int], int]:
            return {tuple(row[:3]): row[3] for row in tx.all("get_output_sizes", job=job)}

        return await self._core.database.read(work)

    async def page(
        self, who: Identity, wanted: JobFilter, *, limit: int, cursor: int | None, newest: bool
    ) -> Page:
        """Return up to limit jobs, by id."""
        if not 1 <= limit <= MOST_A_PAGE:
            raise InvalidInputError(f"must be from 1 to {MOST_A_PAGE}, not {limit}", "limit")
        start = cursor if cursor is not None else (LAST if newest else FIRST)
        search = _Search(self, who, wanted, limit, newest)
        return await self._core.database.read(lambda tx: search.run(tx, start))

    async def counts(
        self, who: Identity, group: str | None, owner: str | None
    ) -> dict[JobState, int]:
        """Return how many jobs are in each state, from the counters."""

        def work(tx: Transaction) -> dict[JobState, int]:
            if _of_others(who, owner):
                return dict.fromkeys(JobState, 0)
            return self._counts(tx, group, owner if who.admin else who.user)

        return await self._core.database.read(work)

    def _counts(self, tx: Transaction, group: str | None, owner: str | None) -> dict[JobState, int]:
        counts = dict.fromkeys(JobState, 0)
        words = self._core.words
        group_id = words.find(tx, group) if group is not None else None
        owner_id = words.find(tx, owner) if owner is not None else None
        if (group is not None and group_id is None) or (owner is not None and owner_id is None):
            return counts
        if group is not None and owner is not None:
            rows = tx.all("get_counts_of_group_owner", group=group_id, owner=owner_id)
        elif group is not None:
            rows = tx.all("get_counts_of_group", group=group_id)
        elif owner is not None:
            rows = tx.all("get_counts_of_owner", owner=owner_id)
        else:
            rows = [(state, n) for _, _, state, n in tx.all("get_owner_counts")]
        for state, n in rows:
            counts[JobState(state)] += int(n)
        return counts

    def _may_see(self, tx: Transaction, who: Identity, row: JobRow) -> bool:
        return who.admin or row.head.owner_id == self._core.words.find(tx, who.user)

    def _listed(self, tx: Transaction, row: JobRow) -> Listed:
        words, head = self._core.words, row.head
        return Listed(
            row,
            Words(
                words.text(tx, head.owner_id),
                words.text(tx, head.group_id),
                words.text(tx, head.project_id),
            ),
        )

    async def why(self, listed: Listed) -> str:
        """Say in a sentence why the job is not running yet, or how it ended."""
        return await self._core.database.read(lambda tx: self._why(tx, listed.row))

    def _why(self, tx: Transaction, row: JobRow) -> str:
        head = row.head
        match head.state:
            case JobState.WAITING:
                return _why_waiting(tx, head.id)
            case JobState.DELAYED:
                after = f" after: {head.reason}" if head.reason else ""
                return f"waits for its time{after}"
            case JobState.READY:
                if head.parked:
                    return f"another job holds the mutex {row.spec.mutex!r}"
                return self._why_ready(head.shape_id)
            case JobState.RESERVED:
                return "an agent has it and will start it next"
            case JobState.RUNNING:
                return "being cancelled" if head.cancel_requested else "running"
            case JobState.COMPLETE:
                return "succeeded"
            case _:
                return head.reason or head.state.word

    def _why_ready(self, number: int) -> str:
        shape = self._core.shapes.by_id[number]
        agents = self._registry.all()
        if not agents:
            return "no agent is connected"
        able = [
            agent
            for agent in agents
            if suits(
                shape,
                pools=agent.row.pools,
                labels=agent.row.labels,
                runtimes=agent.row.runtimes,
            )
        ]
        if not able:
            return "no connected agent has the pool, labels or container engine it asks for"
        if not any(agent.row.capacity.fits(shape.need) for agent in able):
            return "asks for more than any connected agent has"
        if all(agent.draining for agent in able):
            return "every agent that could run it is draining"
        return "waits for room on an agent"


def _why_waiting(tx: Transaction, job: int) -> str:
    parts = [
        f"job {on} ({JobState(state).word})"
        for on, state in tx.all("get_unmet_jobs", job=job, most=5)
    ]
    parts += [
        f"group {name!r} ({live} unfinished)"
        for name, live in tx.all("get_unmet_groups", job=job, most=5)
    ]
    return "waits for " + (", ".join(parts) or "a dependency")


def _attempts(tx: Transaction, job: int) -> list[AttemptView]:
    return [
        AttemptView._make((*row[:-1], _decode_tasks(row[-1]) if row[-1] else []))
        for row in tx.all("get_attempts", job=job)
    ]


class _Search:
    """One page: candidates from the best index, the rest of the filter on their rows."""

    def __init__(
        self, listing: Listing, who: Identity, wanted: JobFilter, limit: int, newest: bool
    ) -> None:
        self._listing, self._who, self._wanted = listing, who, wanted
        self._limit, self._newest = limit, newest
        self._order = "newest" if newest else "oldest"

    def run(self, tx: Transaction, start: int) -> Page:
        words = self._listing._core.words
        if _of_others(self._who, self._wanted.owner):
            return Page([], None)
        owner = self._wanted.owner if self._who.admin else self._who.user
        group_id = words.find(tx, self._wanted.group) if self._wanted.group is not None else None
        owner_id = words.find(tx, owner) if owner is not None else None
        if (self._wanted.group is not None and group_id is None) or (
            owner is not None and owner_id is None
        ):
            return Page([], None)
        found: list[Listed] = []
        cursor, scanned, most = start, 0, self._limit
        while len(found) < self._limit and scanned < MOST_SCANNED:
            ids = self._candidates(tx, group_id, owner_id, cursor, most)
            if not ids:
                return Page(found, None)
            rows = get_rows(tx, ids)
            for job in ids:
                cursor = job
                row = rows.get(job)
                if row is not None and self._matches(row, group_id, owner_id):
                    found.append(self._listing._listed(tx, row))
                    if len(found) == self._limit:
                        break
            scanned += len(ids)
            most = min(2 * most, MOST_A_PAGE)
        return Page(found, cursor)

    def _candidates(
        self, tx: Transaction, group: int | None, owner: int | None, cursor: int, most: int
    ) -> list[int]:
        wanted = self._wanted
        if wanted.ids is not None:
            beyond = [job for job in wanted.ids if (job < cursor if self._newest else job > cursor)]
            return sorted(beyond, reverse=self._newest)[:most]
        if wanted.key is not None:
            return self._ids(tx, "key", cursor, most, key=wanted.key)
        if wanted.name is not None:
            return self._ids(tx, "name", cursor, most, name=wanted.name)
        if wanted.labels:
            label, value = wanted.labels[0]
            return self._ids(tx, "label", cursor, most, label=label, value=value)
        if wanted.states and HELD.issuperset(wanted.states):
            return self._held(tx, cursor, most)
        index, values = "bucket", {}
        if group:
            index, values = "group", {"group": group}
        elif owner is not None:
            index, values = "owner", {"owner": owner}
        buckets = {BUCKETS[state] for state in wanted.states or JobState}
        streams = [
            self._ids(tx, index, cursor, most, bucket=bucket, **values) for bucket in buckets
        ]
        merged: Iterable[int] = heapq.merge(*streams, reverse=self._newest)
        return list(merged)[:most]

    def _held(self, tx: Transaction, cursor: int, most: int) -> list[int]:
        rows = tx.all(f"list_held_{self._order}", cursor=cursor, most=most)
        return [row[0] for row in rows]

    def _ids(
        self, tx: Transaction, index: str, cursor: int, most: int, **values: object
    ) -> list[int]:
        rows = tx.all(f"list_by_{index}_{self._order}", cursor=cursor, most=most, **values)
        return [row[0] for row in rows]

    def _matches(self, row: JobRow, group: int | None, owner: int | None) -> bool:
        head, wanted = row.head, self._wanted
        return (
            (not wanted.states or head.state in wanted.states)
            and (group is None or head.group_id == group)
            and (owner is None or head.owner_id == owner)
            and (wanted.name is None or row.name == wanted.name)
            and (wanted.key is None or row.key == wanted.key)
            and (wanted.dialect is None or head.dialect == wanted.dialect)
            and _has_labels(row, wanted.labels)
        )


def _of_others(who: Identity, owner: str | None) -> bool:
    """Whether the caller asks for jobs of somebody whose jobs it may not see."""
    return owner is not None and owner != who.user and not who.admin


def _has_labels(row: JobRow, labels: Sequence[tuple[str, str]]) -> bool:
    return all(row.spec.labels.get(key) == value for key, value in labels)
