"""Finding workflows: candidates from the best index, the rest of the filter on their rows."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.workflow import ENDED
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.search import KEPT_LISTED, of_others
from gristmill.services.workflows.views import (
    ListedWorkflow,
    Order,
    WorkflowFilter,
    WorkflowPage,
    listed,
)
from gristmill.store.database import Transaction
from gristmill.store.jobs import ids_of
from gristmill.store.workflows import WorkflowRow, get_workflows

MOST_A_PAGE = 1_000
MOST_SCANNED = 20_000
"""Candidates looked at for one page; a page may come back short, with a cursor to go on."""

LAST = (1 << 63) - 1
END_OF_TIME = 1e300

_CURSOR = re.compile(r"(?:([0-9]{1,12}\.[0-9]{1,9})@)?([0-9]{1,19})", re.ASCII)


class Cursor(NamedTuple):
    """Where a page ends. at: of the order by end, else of no meaning."""

    id: int
    at: float

    @classmethod
    def parse(cls, text: str | None, order: Order) -> "Cursor":
        """Return where a page begins. Raises InvalidInputError."""
        if text is None:
            return cls(0 if order == "oldest" else LAST, END_OF_TIME)
        found = _CURSOR.fullmatch(text)
        if found is None:
            shown = f"{text[:40]!r} is not a cursor from an earlier page"
            raise InvalidInputError(shown, "cursor")
        at, number = found.groups()
        return cls(min(int(number), LAST), float(at) if at else END_OF_TIME)

    def text(self, order: Order) -> str:
        """Return what ``parse`` takes."""
        return f"{self.at!r}@{self.id}" if order == "ended" else str(self.id)


class WorkflowSearch:
    """One page of workflows. order ``ended`` is only for one's own."""

    def __init__(
        self, core: QueueCore, who: Identity, wanted: WorkflowFilter, limit: int, order: Order
    ) -> None:
        if not 1 <= limit <= MOST_A_PAGE:
            raise InvalidInputError(f"must be from 1 to {MOST_A_PAGE}, not {limit}", "limit")
        self._core, self._who, self._wanted = core, who, wanted
        self._limit, self._order = limit, order
        self._owner: int | None = None

    def run(self, tx: Transaction, start: Cursor) -> WorkflowPage:
        """Return the page that follows start."""
        name = self._wanted.owner if self._who.admin else self._who.user
        if of_others(self._who, self._wanted.owner):
            return WorkflowPage([], None)
        self._owner = self._core.words.find(tx, name) if name is not None else None
        if name is not None and self._owner is None:
            return WorkflowPage([], None)
        found: list[ListedWorkflow] = []
        scanned, cursor, most = 0, start, self._limit
        while len(found) < self._limit and scanned < MOST_SCANNED:
            ids = self._candidates(tx, cursor, most)
            if not ids:
                return WorkflowPage(found, None)
            rows = get_workflows(tx, ids)
            for row in (rows[number] for number in ids if number in rows):
                cursor = Cursor(row.id, row.ended_at or 0.0)
                one = listed(self._core, tx, row) if self._matches(row) else None
                if one is not None and _has_labels(one, self._wanted.labels):
                    found.append(one)
                    if len(found) == self._limit:
                        break
            else:
                cursor = cursor._replace(id=ids[-1])
            scanned += len(ids)
            most = min(2 * most, MOST_A_PAGE)
        return WorkflowPage(found, cursor.text(self._order))

    def _candidates(self, tx: Transaction, cursor: Cursor, most: int) -> list[int]:
        wanted, newest = self._wanted, self._order != "oldest"
        if wanted.ids is not None:
            beyond = (n for n in wanted.ids if (n < cursor.id if newest else n > cursor.id))
            return sorted(set(beyond), reverse=newest)[:most]
        if self._order == "ended":
            values = {"owner": self._owner, "at": cursor.at, "cursor": cursor.id, "most": most}
            return ids_of(tx.all("list_ended_workflows", **values))
        if wanted.active and self._owner is not None:
            return self._ids(tx, "by_active_", cursor, most, owner=self._owner)
        if wanted.name is not None:
            return self._ids(tx, "by_name_", cursor, most, name=wanted.name)
        if wanted.labels:
            label, value = wanted.labels[0]
            return self._ids(tx, "by_label_", cursor, most, label=label, value=value)
        if self._owner is not None:
            return self._ids(tx, "by_owner_", cursor, most, owner=self._owner)
        return self._ids(tx, "", cursor, most)

    def _ids(
        self, tx: Transaction, index: str, cursor: Cursor, most: int, **values: Any
    ) -> list[int]:
        order = "oldest" if self._order == "oldest" else "newest"
        statement = f"list_workflows_{index}{order}"
        return ids_of(tx.all(statement, cursor=cursor.id, most=most, **values))

    def _matches(self, row: WorkflowRow) -> bool:
        wanted = self._wanted
        return (
            (not wanted.states or row.state in wanted.states)
            and (self._owner is None or row.owner_id == self._owner)
            and (wanted.name is None or row.name == wanted.name)
            and (wanted.dialect is None or row.dialect == wanted.dialect)
            and (not wanted.active or row.state not in ENDED or self._stays(row))
            and (self._order != "ended" or row.ended_at is not None)
        )

    def _stays(self, row: WorkflowRow) -> bool:
        oldest = self._core.chance.now() - KEPT_LISTED
        return bool(row.pinned) and (row.ended_at or 0.0) > oldest


def _has_labels(one: ListedWorkflow, labels: Sequence[tuple[str, str]]) -> bool:
    return all(one.labels.get(key) == value for key, value in labels)
