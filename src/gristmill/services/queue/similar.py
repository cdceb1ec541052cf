"""Many jobs in few words: a handful of each kind, and how many more there are of it.

Jobs are of one kind when state (running counts as reserved), exit code and reason are the same.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.state import BUCKETS, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.views import MOST_A_PAGE, Listed, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, get_heads, get_rows, ids_of

ANY = -1
"""Stands for every dialect in a statement."""

MOST_ALIASES = 10_000
"""Jobs of other groups that are looked at for one group."""

Kind = tuple[int, int | None, str | None]


class Sample(NamedTuple):
    """A job, and how many more of its kind it stands for."""

    job: Listed
    similar: int


class Similar:
    """Answers from the indexes: counts by kind, then the first few of each."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def live(
        self,
        who: Identity,
        states: Sequence[JobState],
        limit: int,
        dialect: Dialect | None = None,
    ) -> list[Sample]:
        """Sample all jobs of these states; limit: how many of each kind. dialect: None for any."""
        return await self._core.database.read(
            lambda tx: self._sample(tx, who, None, states, limit, dialect)
        )

    async def of_group(
        self,
        who: Identity,
        group: str,
        states: Sequence[JobState],
        limit: int,
        dialect: Dialect | None = None,
    ) -> list[Sample]:
        """Sample the jobs of one group, those that were submitted for it later included."""

        def work(tx: Transaction) -> list[Sample]:
            number = self._core.words.find(tx, group)
            return [] if number is None else self._sample(tx, who, number, states, limit, dialect)

        return await self._core.database.read(work)

    def _sample(
        self,
        tx: Transaction,
        who: Identity,
        group: int | None,
        states: Sequence[JobState],
        limit: int,
        dialect: Dialect | None,
    ) -> list[Sample]:
        owner = 0 if who.admin else self._core.words.find(tx, who.user)
        if owner is None:
            return []
        look = _Look(tx, owner, group, limit, dialect)
        for state in states:
            look.at(state)
        if group is not None:
            look.at_aliases(group, frozenset(states))
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

    def __init__(
        self,
        tx: Transaction,
        owner: int,
        group: int | None,
        limit: int,
        dialect: Dialect | None,
    ) -> None:
        self.kinds: Counter[Kind] = Counter()
        self.kept: list[tuple[int, Kind]] = []
        self._tx, self._limit = tx, limit
        self._of_group = group is not None
        self._whose: dict[str, object] = {
            "owner": owner,
            "dialect": ANY if dialect is None else int(dialect),
        }
        if group is not None:
            self._whose["group"] = group

    def at(self, state: JobState) -> None:
        """Count the kinds of a state and keep the first of each.

        What never failed is all of one kind, counted by the counters; only what has failed is
        told apart, by an index of its own.
        """
        failed = 0
        for exit_code, reason, count in self._rows(
            self._named("count_failed_kinds"), state=int(state)
        ):
            kind = (_folded(state), exit_code, reason)
            self.kinds[kind] += count
            failed += count
            self._keep(
                kind,
                self._named("list_failed_kind"),
                state=int(state),
                exit_code=exit_code,
                reason=reason,
            )
        unfailed = self._total(state) - failed
        if unfailed > 0:
            kind = (_folded(state), None, None)
            self.kinds[kind] += unfailed
            self._keep(kind, self._unfailed, state=int(state), bucket=BUCKETS[state])

    def at_aliases(self, group: int, states: frozenset[JobState]) -> None:
        """Count and keep jobs of another group that were submitted for this one, too."""
        cursor = 0
        for _ in range(MOST_ALIASES // MOST_A_PAGE):
            ids = ids_of(
                self._tx.all("list_by_alias_oldest", group=group, cursor=cursor, most=MOST_A_PAGE)
            )
            for head in sorted(get_heads(self._tx, ids), key=lambda head: head.id):
                if head.group_id != group and head.state in states and self._is_wanted(head):
                    kind = (_folded(head.state), *_failure(head))
                    self.kinds[kind] += 1
                    if self._room(kind) > 0:
                        self.kept.append((head.id, kind))
            if len(ids) < MOST_A_PAGE:
                return
            cursor = ids[-1]

    def _is_wanted(self, head: JobHead) -> bool:
        owner, dialect = self._whose["owner"], self._whose["dialect"]
        return owner in (0, head.owner_id) and dialect in (ANY, head.dialect)

    def _keep(self, kind: Kind, statement: str, **values: object) -> None:
        room = self._room(kind)
        if room > 0:
            rows = self._rows(statement, most=room, **values)
            self.kept += [(row[0], kind) for row in rows]

    def _named(self, statement: str) -> str:
        return f"{statement}_of_group" if self._of_group else statement

    @property
    def _unfailed(self) -> str:
        """The statement that finds jobs that never failed by the best index there is."""
        if self._of_group:
            return "list_unfailed_of_group"
        door = self._whose["dialect"]
        return "list_unfailed" if door in (ANY, Dialect.NATIVE) else "list_unfailed_of_dialect"

    def _room(self, kind: Kind) -> int:
        return self._limit - sum(1 for _, other in self.kept if other == kind)

    def _rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return self._tx.all(statement, **self._whose, **values)

    def _total(self, state: JobState) -> int:
        owner, group = self._whose["owner"], self._whose.get("group")
        if group is not None and owner:
            rows = self._tx.all("get_counts_of_group_owner", group=group, owner=owner)
        elif group is not None:
            rows = self._tx.all("get_counts_of_group", group=group)
        elif owner:
            rows = self._tx.all("get_counts_of_owner", owner=owner)
        else:
            rows = [row[1:] for row in self._tx.all("get_owner_counts")]
        dialect = self._whose["dialect"]
        return sum(
            int(count) for door, found, count in rows if found == state and dialect in (ANY, door)
        )


def _failure(head: JobHead) -> tuple[int | None, str | None]:
    """Return what tells failed jobs apart; those that never failed are all alike."""
    return (head.exit_code, head.reason) if head.failures else (None, None)


def _folded(state: JobState) -> int:
    return int(JobState.RESERVED if state is JobState.RUNNING else state)
