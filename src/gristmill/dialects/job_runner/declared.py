"""Groups, projects, pools and templates: what an administrator declared."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from gristmill.dialects.job_runner.context import Context, Document, Found, Page
from gristmill.dialects.job_runner.filters import Condition, Filters
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.uris import uri, uris
from gristmill.services.directory import PoolEntry, ProjectEntry, Snapshot, TemplateEntry

E = TypeVar("E")
Path = tuple[str, ...]


class DeclaredShelf(ABC, Generic[E]):
    """The objects of one resource; few enough to look through."""

    key: str

    @abstractmethod
    def entries(self, snapshot: Snapshot) -> Mapping[int, E]:
        """Return all there are, by id."""

    @abstractmethod
    def seen(self, context: Context, number: int, entry: E) -> bool:
        """Whether it is in the caller's scope."""

    @abstractmethod
    def write(self, context: Context, number: int, entry: E) -> Document:
        """Return it as clients see it."""

    def order(self, snapshot: Snapshot, number: int, entry: Any) -> tuple[Any, ...]:
        """Return what lists are sorted by; usually the title."""
        del snapshot
        return entry.value.name, number

    def of_project(self, number: int, entry: E, project: ProjectEntry) -> bool:
        """Whether ``project_id`` finds it; what belongs to no project is never found by one."""
        del number, entry, project
        return False

    async def prepare(self, context: Context) -> Context:
        """Fetch what ``write`` needs beyond the snapshot."""
        return context

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list."""
        context, snapshot = await self.prepare(context), context.snapshot
        chosen = [
            (self.order(snapshot, number, entry), number, entry)
            for number, entry in self.entries(snapshot).items()
            if self.seen(context, number, entry) and self._chosen(context, number, entry, filters)
        ]
        chosen.sort(key=lambda one: one[0])
        part = chosen[window.offset : window.offset + window.limit]
        return Page(len(chosen), [self.write(context, number, entry) for _, number, entry in part])

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the objects with these ids."""
        context = await self.prepare(context)
        there = self.entries(context.snapshot)
        seen: dict[int, Document] = {}
        hidden = set()
        for number in ids:
            if number not in there:
                continue
            if self.seen(context, number, there[number]):
                seen[number] = self.write(context, number, there[number])
            else:
                hidden.add(number)
        return Found(seen, frozenset(hidden))

    def _chosen(self, context: Context, number: int, entry: E, filters: Filters) -> bool:
        if filters.project is not None:
            project = context.snapshot.projects.get(filters.project)
            if project is None or not context.reach.sees(project.id):
                return False
            if not self.of_project(number, entry, project):
                return False
        return fits(context.snapshot, self.key, entry, filters.conditions)


def fits(snapshot: Snapshot, key: str, entry: Any, conditions: Iterable[Condition]) -> bool:
    """Whether all conditions hold of an entry of this resource."""
    return all(one.matches(value_at(snapshot, key, entry, one.path)) for one in conditions)


def value_at(snapshot: Snapshot, key: str, entry: Any, path: Path) -> Any:
    """Return the value that a filter's path leads to, from an entry of a resource."""
    name, rest = path[0], path[1:]
    if key == "job_template" and name == "project":
        number = entry.project_id
        return value_at(snapshot, "project", snapshot.projects[number], rest) if rest else number
    if name == "id":
        return entry.id
    return entry.value.api_key if name == "api_key" else entry.value.name


def common(context: Context, key: str, entry: Any) -> Document:
    """Return the fields that all of them have but groups."""
    return {
        "id": entry.id,
        "title": entry.value.name,
        "description": entry.value.description,
        "enqueue_is_enabled": entry.value.enabled,
        "resource_uri": uri(context.mount, key, entry.id),
    }


class Groups(DeclaredShelf[str]):
    """Groups have a name and nothing else."""

    key = "group"

    def entries(self, snapshot: Snapshot) -> Mapping[int, str]:
        """Return all groups."""
        return snapshot.groups

    def seen(self, context: Context, number: int, entry: str) -> bool:
        """Whether a person is in it, or it views a worker's projects."""
        del entry
        return number in context.reach.groups

    def write(self, context: Context, number: int, entry: str) -> Document:
        """Return the name."""
        return {"name": entry, "resource_uri": uri(context.mount, self.key, number)}

    def order(self, snapshot: Snapshot, number: int, entry: Any) -> tuple[Any, ...]:
        """Sort by id."""
        del snapshot, entry
        return (number,)


class Projects(DeclaredShelf[ProjectEntry]):
    """Projects; who sees them and whom they tell stays inside."""

    key = "project"

    def entries(self, snapshot: Snapshot) -> Mapping[int, ProjectEntry]:
        """Return all projects."""
        return snapshot.projects

    def seen(self, context: Context, number: int, entry: ProjectEntry) -> bool:
        """Whether the caller's groups view it, or the caller's pool is one of its pools."""
        del entry
        return context.reach.sees(number)

    def write(self, context: Context, number: int, entry: ProjectEntry) -> Document:
        """Return a project."""
        del number
        return {
            **common(context, self.key, entry),
            "worker_pools": uris(context.mount, "worker_pool", entry.pool_ids),
            "auth_groups": uris(context.mount, "group", entry.operator_ids),
        }


class Pools(DeclaredShelf[PoolEntry]):
    """Pools of workers."""

    key = "worker_pool"

    def entries(self, snapshot: Snapshot) -> Mapping[int, PoolEntry]:
        """Return all pools."""
        return snapshot.pools

    def seen(self, context: Context, number: int, entry: PoolEntry) -> bool:
        """Whether the caller is in it, or sees a project that uses it."""
        del entry
        return number in context.reach.pools

    def write(self, context: Context, number: int, entry: PoolEntry) -> Document:
        """Return a pool."""
        del number
        return {
            **common(context, self.key, entry),
            "workers": uris(context.mount, "worker", entry.worker_ids),
        }

    def of_project(self, number: int, entry: PoolEntry, project: ProjectEntry) -> bool:
        """Whether the project uses it."""
        del entry
        return number in project.pool_ids


class Templates(DeclaredShelf[TemplateEntry]):
    """Templates; what is in them stays inside."""

    key = "job_template"

    def entries(self, snapshot: Snapshot) -> Mapping[int, TemplateEntry]:
        """Return all templates."""
        return snapshot.templates

    def seen(self, context: Context, number: int, entry: TemplateEntry) -> bool:
        """Whether the caller sees its project."""
        del number
        return context.reach.sees(entry.project_id)

    def write(self, context: Context, number: int, entry: TemplateEntry) -> Document:
        """Return a template."""
        del number
        return {
            **common(context, self.key, entry),
            "project": uri(context.mount, "project", entry.project_id),
        }

    def order(self, snapshot: Snapshot, number: int, entry: Any) -> tuple[Any, ...]:
        """Sort by the project's title, then its own."""
        project = snapshot.projects[entry.project_id]
        return project.value.name, entry.value.name, number

    def of_project(self, number: int, entry: TemplateEntry, project: ProjectEntry) -> bool:
        """Whether it is the project's."""
        del number
        return entry.project_id == project.id
