"""Where every schedule stands: project, template, pool, parent; kept until that changes."""

from collections.abc import Collection
from typing import NamedTuple

from gristmill.store.database import Database
from gristmill.store.schedules import IndexRow, schedule_index


class Index(NamedTuple):
    """All schedules, in the order they are listed in."""

    rows: list[IndexRow]
    by_id: dict[int, IndexRow]

    def choose(
        self,
        projects: Collection[int] | None = None,
        pools: Collection[int] | None = None,
        schedules: Collection[int] | None = None,
    ) -> list[int]:
        """Return the schedules that meet every condition; None is met by all."""
        return [
            row.id
            for row in self.rows
            if (projects is None or row.project_id in projects)
            and (pools is None or row.pool_id in pools)
            and (schedules is None or row.id in schedules)
        ]


class ScheduleIndex:
    """The cache. Only the event loop touches it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._index: Index | None = None
        self._version = 0

    def forget(self) -> None:
        """Read anew when it is asked for next; something about schedules has changed."""
        self._version += 1
        self._index = None

    async def get(self) -> Index:
        """Return the index."""
        if self._index is not None:
            return self._index
        version = self._version
        rows = await self._database.read(schedule_index)
        index = Index(rows, {row.id: row for row in rows})
        if version == self._version:
            self._index = index
        return index
