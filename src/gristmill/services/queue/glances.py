"""Many jobs at once, each with its last attempts: what lists of jobs show."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.state import HELD
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.search import Search
from gristmill.services.queue.similar import Sample
from gristmill.services.queue.views import MOST_A_PAGE, JobFilter, Listed, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_rows


class LastAttempt(NamedTuple):
    """The first member of an attempt that began. Times: epoch seconds, memory: MB."""

    number: int
    agent_id: int
    started_at: float | None
    ended_at: float | None
    pid: int | None
    cwd: str | None
    peak_memory: int | None
    cpu_seconds: float | None
    exit_code: int | None
    reason: str | None
    message: str | None


class Glance(NamedTuple):
    """A job. attempt: the current or last one, None when it has not begun.

    before: the one before that. similar: how many more jobs this one stands for.
    """

    job: Listed
    attempt: LastAttempt | None
    before: LastAttempt | None = None
    similar: int = 0


class Glances:
    """Reads; every method sees one consistent snapshot."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def of_ids(self, who: Identity, ids: Sequence[int]) -> list[Glance]:
        """Return the jobs that exist for this caller, in the order of ids."""

        def work(tx: Transaction) -> list[Glance]:
            found = self._visible(tx, who, ids)
            return self._with_attempts(tx, [found[job] for job in ids if job in found])

        return await self._core.database.read(work)

    async def of_keys(
        self, who: Identity, keys: Iterable[str], dialect: Dialect
    ) -> dict[str, list[Glance]]:
        """Return the jobs of each key, oldest first."""

        def work(tx: Transaction) -> dict[str, list[Glance]]:
            ids = {
                key: [
                    int(row[0])
                    for row in tx.all("list_by_key_oldest", key=key, cursor=0, most=MOST_A_PAGE)
                ]
                for key in keys
            }
            found = self._visible(tx, who, [job for some in ids.values() for job in some])
            ours = {job: view for job, view in found.items() if view.row.head.dialect == dialect}
            glances = {
                glance.job.row.head.id: glance
                for glance in self._with_attempts(tx, list(ours.values()))
            }
            return {
                key: [glances[job] for job in some if job in glances] for key, some in ids.items()
            }

        return await self._core.database.read(work)

    async def all(self, who: Identity, wanted: JobFilter) -> list[Glance]:
        """Return every job that is wanted, oldest first."""

        def work(tx: Transaction) -> list[Glance]:
            found: list[Listed] = []
            cursor: int | None = 0
            while cursor is not None:
                search = Search(self._core, who, wanted, MOST_A_PAGE, newest=False)
                page = search.run(tx, cursor)
                found += page.jobs
                cursor = page.cursor
            return self._with_attempts(tx, found)

        return await self._core.database.read(work)

    async def of_samples(self, samples: Sequence[Sample]) -> list[Glance]:
        """Add the attempts to samples of similar jobs."""

        def work(tx: Transaction) -> list[Glance]:
            glances = self._with_attempts(tx, [sample.job for sample in samples])
            return [
                glance._replace(similar=sample.similar)
                for glance, sample in zip(glances, samples, strict=True)
            ]

        return await self._core.database.read(work)

    def _visible(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> dict[int, Listed]:
        owner = self._core.words.find(tx, who.user)
        return {
            job: listed(self._core, tx, row)
            for job, row in get_rows(tx, ids).items()
            if who.admin or row.head.owner_id == owner
        }

    def _with_attempts(self, tx: Transaction, jobs: Sequence[Listed]) -> list[Glance]:
        begun = [job.row.head.id for job in jobs if job.row.head.attempt]
        rows = tx.all("get_last_attempts", ids=tx.array(begun)) if begun else []
        attempts: defaultdict[int, list[LastAttempt]] = defaultdict(list)
        for row in rows:
            attempts[row[0]].append(LastAttempt._make(row[1:]))
        return [_glance(job, attempts.get(job.row.head.id)) for job in jobs]


def _glance(job: Listed, attempts: Sequence[LastAttempt] | None) -> Glance:
    """Tell the current attempt from the one before; attempts: those that began, in order."""
    if not attempts:
        return Glance(job, None)
    head, last = job.row.head, attempts[-1]
    if head.state in HELD and last.number != head.attempt:
        return Glance(job, None, last)
    return Glance(job, last, attempts[-2] if len(attempts) > 1 else None)
