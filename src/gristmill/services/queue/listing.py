"""Jobs as people look at them: one, many by page, counts, and why one is not running."""

from collections.abc import Sequence

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.outcome import AttemptDetails, TaskResult
from gristmill.domain.state import JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.explain import explain, placeable
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.search import Search, of_others
from gristmill.services.queue.views import (
    MOST_A_PAGE,
    AttemptView,
    JobFilter,
    Listed,
    Page,
    listed,
)
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobRow, get_head, get_rows

FIRST, LAST = 0, (1 << 63) - 1
_decode_details = msgspec.msgpack.Decoder(AttemptDetails).decode
_decode_tasks = msgspec.msgpack.Decoder(list[TaskResult]).decode


MOST_GROUPS = 1_000
"""Groups that one search finds."""


class Listing:
    """Reads; every method sees one consistent snapshot."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry

    async def get(self, who: Identity, job: int) -> Listed:
        """Return one job. Raises NotFoundError, also for somebody else's."""
        return await self._core.database.read(lambda tx: self.get_in(tx, who, job))

    async def exists(self, job: int, dialect: Dialect) -> bool:
        """Whether there is such a job of anybody's, submitted through this dialect."""

        def work(tx: Transaction) -> bool:
            head = get_head(tx, job)
            return head is not None and head.dialect == dialect

        return await self._core.database.read(work)

    def get_in(self, tx: Transaction, who: Identity, job: int) -> Listed:
        """Return one job within a transaction."""
        row = get_rows(tx, [job]).get(job)
        if row is None or not self._may_see(tx, who, row):
            raise NotFoundError(f"there is no job {job}")
        return listed(self._core, tx, row)

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
        search = Search(self._core, who, wanted, limit, newest)
        return await self._core.database.read(lambda tx: search.run(tx, start))

    async def counts(
        self, who: Identity, group: str | None, owner: str | None
    ) -> dict[JobState, int]:
        """Return how many jobs are in each state, from the counters."""

        def work(tx: Transaction) -> dict[JobState, int]:
            if of_others(who, owner):
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
            rows = [row[1:] for row in tx.all("get_owner_counts")]
        for _, state, n in rows:
            counts[JobState(state)] += int(n)
        return counts

    async def groups_with(self, who: Identity, part: str, dialect: Dialect) -> list[str]:
        """Return the groups of one interface's jobs whose names contain a text, by name.

        Looks at every group there is. At most MOST_GROUPS are returned.
        """

        def work(tx: Transaction) -> list[str]:
            owner = 0 if who.admin else self._core.words.find(tx, who.user)
            if owner is None:
                return []
            rows = tx.all(
                "find_groups_with",
                owner=owner,
                dialect=int(dialect),
                part=part,
                most=MOST_GROUPS,
            )
            return [row[0] for row in rows]

        return await self._core.database.read(work)

    def _may_see(self, tx: Transaction, who: Identity, row: JobRow) -> bool:
        return who.admin or row.head.owner_id == self._core.words.find(tx, who.user)

    async def many_attempts(self, jobs: Sequence[int]) -> dict[int, list[AttemptView]]:
        """Return the attempts of many jobs that have begun, oldest first."""
        return await self._core.database.read(lambda tx: {job: _attempts(tx, job) for job in jobs})

    def placeable(self, job: Listed) -> bool:
        """Whether some connected agent could run the job, once it has nothing else to do."""
        return placeable(self._core, self._registry, job.row.head.shape_id)

    async def why(self, job: Listed) -> str:
        """Say in a sentence why the job is not running yet, or how it ended."""
        return await self._core.database.read(
            lambda tx: explain(self._core, self._registry, tx, job.row)
        )


def _attempts(tx: Transaction, job: int) -> list[AttemptView]:
    return [
        AttemptView._make(
            (
                *row[:-2],
                _decode_tasks(row[-2]) if row[-2] else [],
                _decode_details(row[-1]) if row[-1] else None,
            )
        )
        for row in tx.all("get_attempts", job=job)
    ]
