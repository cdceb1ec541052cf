"""Whose schedules are whose: viewers of a project see them, operators change and run them."""

from typing import NamedTuple

from gristmill.domain.errors import InvalidInputError, NotFoundError, NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.services.schedules.book import Schedules, ScheduleView
from gristmill.store.database import Database, Transaction


class Reach(NamedTuple):
    """Projects by id; None: all of them."""

    seen: frozenset[int] | None
    operated: frozenset[int] | None


class ScheduleAccess:
    """Answers for one caller at a time."""

    def __init__(self, database: Database, schedules: Schedules) -> None:
        self._database, self._schedules = database, schedules

    async def reach(self, who: Identity) -> Reach:
        """Return how far a caller reaches."""
        if who.admin:
            return Reach(None, None)
        rows = await self._database.read(lambda tx: tx.all("list_project_groups"))
        mine = [(project, role) for project, role, group in rows if group in who.groups]
        operated = frozenset(project for project, role in mine if role == "operator")
        return Reach(frozenset(project for project, _ in mine), operated)

    async def see(self, who: Identity, number: int) -> ScheduleView:
        """Return a schedule that the caller may see. Raises NotFoundError."""
        seen = (await self.reach(who)).seen
        view = await self._schedules.get(number)
        if seen is not None and view.project_id not in seen:
            raise NotFoundError(f"there is no schedule {number}")
        return view

    async def operate(self, who: Identity, number: int) -> ScheduleView:
        """Return a schedule that the caller may change and run.

        Raises NotFoundError, NotPermittedError for who may only see it.
        """
        view = await self.see(who, number)
        operated = (await self.reach(who)).operated
        if operated is not None and view.project_id not in operated:
            raise NotPermittedError(f"this needs a group that operates project {view.project_name}")
        return view

    async def template(self, who: Identity, project: str, template: str) -> int:
        """Return a template of a project that the caller operates, by names."""

        def work(tx: Transaction) -> tuple[int, int]:
            row = tx.one("find_template_named", project=project, template=template)
            if row is None:
                raise InvalidInputError(
                    f"there is no template {template!r} in project {project!r}", "template"
                )
            return row[0], tx.must("find_template", id=row[0])[0]

        number, owner = await self._database.read(work)
        reach = await self.reach(who)
        if reach.operated is not None and owner not in reach.operated:
            if reach.seen is not None and owner not in reach.seen:
                raise InvalidInputError(
                    f"there is no template {template!r} in project {project!r}", "template"
                )
            raise NotPermittedError(f"this needs a group that operates project {project}")
        return number

    async def pool(self, name: str) -> int:
        """Return a pool by its name. Raises InvalidInputError."""
        row = await self._database.read(lambda tx: tx.one("find_pool_named", name=name))
        if row is None:
            raise InvalidInputError(f"there is no pool {name!r}", "pool")
        return int(row[0])
