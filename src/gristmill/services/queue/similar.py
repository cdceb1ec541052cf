"""Many jobs in few words: a handful of each kind, and how many more there are of it.

Jobs are of one kind when state (running counts as reserved), exit code and reason are the same.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from gristmill.domain.identity import Identity
from gristmill.domain.state import BUCKETS, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.views import Listed, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_rows

Kind = tuple[int, int | None, str | None]


class Sample(NamedTuple):
    """A job, and how many more of its kind it stands for."""

    job: Listed
    similar: int


class Similar:
    """Answers from the indexes: counts by kind, then the first few of each."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def live(self, who: Identity, states: Sequence[JobState], limit: int) -> list[Sample]:
        """Sample all jobs of these states; limit: how many of each kind."""
        return await self._core.database.read(lambda tx: self._sample(tx, who, None, states, limit))

    async def of_group(
        self, who: Identity, group: str, states: Sequence[JobState], limit: int
    ) -> list[Sample]:
        """Sample the jobs of one group."""

        def work(tx: Transaction) -> list[Sample]:
            number = self._core.words.find(tx, group)
            return [] if number is None else self._sample(tx, who, number, states, limit)

        return await self._core.database.read(work)

    def _sample(
        self,
        tx: Transaction,
        who: Identity,
        group: int | None,
        states: Sequence[JobState],
        limit: int,
    ) -> list[Sample]:
        owner = 0 if who.admin else self._core.words.find(tx, who.user)
        if owner is None:
            return []
        look = _Look(tx, owner, group, limit)
        for state in states:
            look.at(state)
        return self._written_out(tx, look)

    def _written_out(self, tx: Transaction, look: "_Look") -> list[Sample]:
        rows = get_rows(tx, [job for job, _ in look.kept])
        last = {kind: job for job, kind in look.kept}
        shown = Counter(kind for _, kind in look.kept)
        return [
            Sample(
                listed(self._core, tx, rows[job]),
                look.kinds[kind] - shown[kind] if last[kind] == job else 0,
            )
            for job, kind in look.kept
        ]


class _Look:
    """One look at the jobs of an owner (0: anybody's), or of one group of theirs."""

    def __init__(self, tx: Transaction, owner: int, group: int | None, limit: int) -> None:
        self.kinds: Counter[Kind] = Counter()
        self.kept: list[tuple[int, Kind]] = []
        self._tx, self._limit = tx, limit
        self._suffix = "" if group is None else "_of_group"
        self._whose: dict[str, object] = {"owner": owner}
        if group is not None:
            self._whose["group"] = group

    def at(self, state: JobState) -> None:
        """Count the kinds of a state and keep the first of each.

        What never failed is all of one kind, counted by the counters; only what has failed is
        told apart, by an index of its own.
        """
        failed = 0
        for exit_code, reason, count in self._rows("count_failed_kinds", state=int(state)):
            kind = (_folded(state), exit_code, reason)
            self.kinds[kind] += count
            failed += count
            self._keep(
                kind, "list_failed_kind", state=int(state), exit_code=exit_code, reason=reason
            )
        unfailed = self._total(state) - failed
        if unfailed > 0:
            kind = (_folded(state), None, None)
            self.kinds[kind] += unfailed
            self._keep(kind, "list_unfailed", state=int(state), bucket=BUCKETS[state])

    def _keep(self, kind: Kind, statement: str, **values: object) -> None:
        room = self._limit - sum(1 for _, other in self.kept if other == kind)
        if room > 0:
            rows = self._rows(statement, most=room, **values)
            self.kept += [(row[0], kind) for row in rows]

    def _rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return self._tx.all(statement + self._suffix, **self._whose, **values)

    def _total(self, state: JobState) -> int:
        owner, group = self._whose["owner"], self._whose.get("group")
        if group is not None and owner:
            rows = self._tx.all("get_counts_of_group_owner", group=group, owner=owner)
        elif group is not None:
            rows = self._tx.all("get_counts_of_group", group=group)
        elif owner:
            rows = self._tx.all("get_counts_of_owner", owner=owner)
        else:
            rows = [(row[2], row[3]) for row in self._tx.all("get_owner_counts")]
        return sum(int(count) for found, count in rows if found == state)


def _folded(state: JobState) -> int:
    return int(JobState.RESERVED if state is JobState.RUNNING else state)
