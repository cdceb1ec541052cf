"""Finding jobs: candidates from the best index, the rest of the filter on their rows."""

import heapq
from collections.abc import Iterable, Sequence

from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.state import ACTIVE, BUCKETS, HELD, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.views import MOST_A_PAGE, JobFilter, Listed, Page, listed
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, JobRow, get_rows

FIRST_INDEXED = Dialect.PROMINENCE
"""From this one on, an owner's jobs of one dialect have an index of their own."""

KEPT_LISTED = 90 * 86_400.0
"""Seconds for which a job or workflow that stays listed does so after its end."""

MOST_SCANNED = 20_000
"""Candidates looked at for one page; a page may come back short, with a cursor to go on."""


class Search:
    """One page of jobs, by id."""

    def __init__(
        self, core: QueueCore, who: Identity, wanted: JobFilter, limit: int, newest: bool
    ) -> None:
        self._core, self._who, self._wanted = core, who, wanted
        self._limit, self._newest = limit, newest
        self._order = "newest" if newest else "oldest"
        self._aliases: set[int] = set()
        self._kept: set[int] = set()

    def run(self, tx: Transaction, start: int) -> Page:
        """Return the page that follows start."""
        words = self._core.words
        if of_others(self._who, self._wanted.owner):
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
                    found.append(listed(self._core, tx, row))
                    if len(found) == self._limit:
                        break
            scanned += len(ids)
            most = min(2 * most, MOST_A_PAGE)
        return Page(found, cursor)

    def _candidates(
        self, tx: Transaction, group: int | None, owner: int | None, cursor: int, most: int
    ) -> list[int]:
        wanted = self._wanted
        if wanted.workflow is not None:
            return self._of_workflow(tx, wanted.workflow, cursor, most)
        if wanted.ids is not None:
            beyond = [job for job in wanted.ids if (job < cursor if self._newest else job > cursor)]
            return sorted(beyond, reverse=self._newest)[:most]
        if wanted.key is not None:
            return self._ids(tx, "key", cursor, most, key=wanted.key)
        if owner is not None and wanted.current:
            return self._current(tx, owner, cursor, most)
        if wanted.name is not None:
            return self._ids(tx, "name", cursor, most, name=wanted.name)
        if wanted.labels:
            label, value = wanted.labels[0]
            return self._ids(tx, "label", cursor, most, label=label, value=value)
        if wanted.states and HELD.issuperset(wanted.states):
            return self._held(tx, cursor, most)
        return self._by_bucket(tx, group, owner, cursor, most)

    def _by_bucket(
        self, tx: Transaction, group: int | None, owner: int | None, cursor: int, most: int
    ) -> list[int]:
        index, values = "bucket", {}
        aliases: list[int] = []
        if group:
            index, values = "group", {"group": group}
        elif owner is not None:
            index, values = self._of_owner(owner)
        elif self._wanted.dialect:
            index, values = "dialect", {"dialect": int(self._wanted.dialect)}
        if group:
            aliases = self._ids(tx, "alias", cursor, most, group=group)
            self._aliases.update(aliases)
        buckets = {BUCKETS[state] for state in self._wanted.states or JobState}
        streams = [
            self._ids(tx, index, cursor, most, bucket=bucket, **values) for bucket in buckets
        ]
        merged: Iterable[int] = heapq.merge(*streams, aliases, reverse=self._newest)
        return list(dict.fromkeys(merged))[:most]

    def _of_owner(self, owner: int) -> tuple[str, dict[str, int]]:
        dialect = self._wanted.dialect
        if dialect is None or dialect < FIRST_INDEXED:
            return "owner", {"owner": owner}
        return "owner_dialect", {"owner": owner, "dialect": dialect}

    def _current(self, tx: Transaction, owner: int, cursor: int, most: int) -> list[int]:
        """Return jobs that have not ended, and those kept listed after that."""
        index, values = self._of_owner(owner)
        streams = [
            self._ids(tx, index, cursor, most, bucket=bucket, **values)
            for bucket in {BUCKETS[state] for state in ACTIVE}
        ]
        rows = tx.all(f"list_kept_{self._order}", owner=owner, cursor=cursor, most=most)
        kept = [row[0] for row in rows]
        self._kept.update(kept)
        merged: Iterable[int] = heapq.merge(*streams, kept, reverse=self._newest)
        return list(dict.fromkeys(merged))[:most]

    def _of_workflow(self, tx: Transaction, workflow: int, cursor: int, most: int) -> list[int]:
        streams = [
            self._ids(tx, "workflow", cursor, most, workflow=workflow, bucket=bucket)
            for bucket in {BUCKETS[state] for state in self._wanted.states or JobState}
        ]
        return list(heapq.merge(*streams, reverse=self._newest))[:most]

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
            and (wanted.workflow is None or wanted.ids is None or head.id in wanted.ids)
            and (not wanted.current or head.state in ACTIVE or self._is_kept(head))
            and (group is None or head.group_id == group or head.id in self._aliases)
            and (owner is None or head.owner_id == owner)
            and (wanted.name is None or row.name == wanted.name)
            and (wanted.key is None or row.key == wanted.key)
            and (wanted.dialect is None or head.dialect == wanted.dialect)
            and _has_labels(row, wanted.labels)
        )

    def _is_kept(self, head: JobHead) -> bool:
        ended = head.ended_at or 0.0
        return head.id in self._kept and ended > self._core.chance.now() - KEPT_LISTED


def of_others(who: Identity, owner: str | None) -> bool:
    """Whether the caller asks for jobs of somebody whose jobs it may not see."""
    return owner is not None and owner != who.user and not who.admin


def _has_labels(row: JobRow, labels: Sequence[tuple[str, str]]) -> bool:
    return all(row.spec.labels.get(key) == value for key, value in labels)
