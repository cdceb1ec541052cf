"""Jobs that have ended, the latest end first; and those kept listed after it."""

from collections.abc import Sequence
from typing import NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.state import TERMINAL
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.search import FIRST_INDEXED
from gristmill.services.queue.views import MOST_A_PAGE, Listed, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobRow, get_rows

FEW = 2_000
"""Up to so many jobs with a name or label are looked through; more are met soon anyway."""

_FROM_THE_END = (float("inf"), (1 << 63) - 1)


class EndedPage(NamedTuple):
    """Jobs in order; cursor: give it back for what follows, None at the end."""

    jobs: list[Listed]
    cursor: tuple[float, int] | None


class Recent:
    """Reads by end; every method sees one consistent snapshot."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def ended(
        self,
        who: Identity,
        dialect: Dialect,
        *,
        name: str | None = None,
        labels: Sequence[tuple[str, str]] = (),
        limit: int,
        cursor: tuple[float, int] | None = None,
    ) -> EndedPage:
        """Return up to limit of the caller's ended jobs, the latest end first.

        dialect: one whose jobs are indexed by their end. A page may come back short, with a
        cursor to go on.
        """
        if dialect < FIRST_INDEXED:
            raise InvalidInputError("jobs of this dialect are not listed by their end", "dialect")

        def work(tx: Transaction) -> EndedPage:
            owner = self._core.words.find(tx, who.user)
            if owner is None:
                return EndedPage([], None)
            search = _Search(self._core, tx, owner, dialect, name, labels)
            return search.run(limit, cursor or _FROM_THE_END)

        return await self._core.database.read(work)

    async def dismiss(self, who: Identity, job: int) -> bool:
        """List a job no longer once it has ended; return whether it would have stayed."""

        def work(tx: Transaction) -> bool:
            owner = self._core.words.find(tx, who.user)
            return owner is not None and tx.one("drop_kept", owner=owner, id=job) is not None

        return await self._core.database.write(work)


class _Search:
    """One page within a transaction."""

    def __init__(
        self,
        core: QueueCore,
        tx: Transaction,
        owner: int,
        dialect: Dialect,
        name: str | None,
        labels: Sequence[tuple[str, str]],
    ) -> None:
        self._core, self._tx, self._owner = core, tx, owner
        self._dialect, self._name, self._labels = dialect, name, labels

    def run(self, limit: int, cursor: tuple[float, int]) -> EndedPage:
        few = self._few()
        if few is not None:
            return self._sorted(few, limit, cursor)
        filtered = self._name is not None or bool(self._labels)
        most = MOST_A_PAGE if filtered else min(limit, MOST_A_PAGE)
        ended = self._tx.all(
            "list_ended",
            owner=self._owner,
            dialect=self._dialect.value,
            ended_at=cursor[0],
            id=cursor[1],
            most=most,
        )
        rows = get_rows(self._tx, [job for job, _ in ended])
        found: list[Listed] = []
        for job, ended_at in ended:
            cursor = (ended_at, job)
            if self._matches(rows[job]):
                found.append(listed(self._core, self._tx, rows[job]))
                if len(found) == limit:
                    break
        more = len(found) == limit or len(ended) == most
        return EndedPage(found, cursor if more else None)

    def _few(self) -> list[int] | None:
        """Return the jobs with the name or a label when they are few, of whatever owner."""
        values = {"cursor": _FROM_THE_END[1], "most": FEW + 1}
        streams = [("list_by_label_newest", {"label": k, "value": v}) for k, v in self._labels]
        if self._name is not None:
            streams.append(("list_by_name_newest", {"name": self._name}))
        for statement, key in streams:
            ids = [row[0] for row in self._tx.all(statement, **key, **values)]
            if len(ids) <= FEW:
                return ids
        return None

    def _sorted(self, ids: Sequence[int], limit: int, cursor: tuple[float, int]) -> EndedPage:
        rows = [row for row in get_rows(self._tx, ids).values() if self._matches(row)]
        ends = {(row.head.ended_at or 0.0, row.head.id): row for row in rows}
        order = sorted((end for end in ends if end < cursor), reverse=True)[:limit]
        found = [listed(self._core, self._tx, ends[end]) for end in order]
        return EndedPage(found, order[-1] if len(order) == limit else None)

    def _matches(self, row: JobRow) -> bool:
        return (
            row.head.owner_id == self._owner
            and row.head.dialect == self._dialect
            and row.head.state in TERMINAL
            and (self._name is None or row.name == self._name)
            and all(row.spec.labels.get(key) == value for key, value in self._labels)
        )
