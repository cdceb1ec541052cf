"""People, pools, workers, projects and templates by id: what is declared, at hand in memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import structlog

from gristmill.domain.declared import Named, Pool, Project, Template, User, Worker
from gristmill.domain.errors import UnavailableError
from gristmill.services.declarations import secret_purpose
from gristmill.services.keyring import SecretBox
from gristmill.store.database import Database
from gristmill.store.declarations import State, Stored, load_state

N = TypeVar("N", bound=Named)
Ids = tuple[int, ...]
OpenSecret = Callable[[str, bytes | None], str | None]

log = structlog.get_logger()


class UserEntry(NamedTuple):
    """A person and the groups."""

    id: int
    value: User
    group_ids: Ids


class PoolEntry(NamedTuple):
    """A pool, who serves it and who may use it."""

    id: int
    value: Pool
    worker_ids: Ids
    project_ids: Ids


class WorkerEntry(NamedTuple):
    """An external worker. secret: None when it has none, or one that cannot be read."""

    id: int
    value: Worker
    pool_ids: Ids
    secret: str | None

    def __repr__(self) -> str:
        return f"WorkerEntry({self.id}, {self.value.name!r})"


class ProjectEntry(NamedTuple):
    """A project, its pools, and the groups that see it and operate it."""

    id: int
    value: Project
    pool_ids: Ids
    viewer_ids: Ids
    operator_ids: Ids


class TemplateEntry(NamedTuple):
    """A template of a project."""

    id: int
    value: Template
    project_id: int


class Snapshot(NamedTuple):
    """Everything that was declared but schedules, by id; users by name. groups: their names."""

    groups: Mapping[int, str]
    users: Mapping[str, UserEntry]
    pools: Mapping[int, PoolEntry]
    workers: Mapping[int, WorkerEntry]
    worker_by_key: Mapping[str, WorkerEntry]
    projects: Mapping[int, ProjectEntry]
    templates: Mapping[int, TemplateEntry]


class Directory:
    """Keeps a snapshot until something is declared anew."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database, self._box = database, box
        self._snapshot: Snapshot | None = None
        self._version = 0

    def forget(self) -> None:
        """Read anew at the next question; to be called once a change is durable."""
        self._version += 1
        self._snapshot = None

    async def get(self) -> Snapshot:
        """Return what is declared now."""
        while self._snapshot is None:
            version = self._version
            state = await self._database.read(lambda tx: load_state(tx, schedules=False))
            # What was read while something changed may be from before.
            if version == self._version:
                self._snapshot = _arrange(state, self._open)
        return self._snapshot

    def _open(self, worker: str, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._box.open(sealed, secret_purpose(worker))
        except UnavailableError as error:
            log.warning("worker.secret_unreadable", worker=worker, error=str(error))
            return None


def _arrange(state: State, open_secret: OpenSecret) -> Snapshot:
    groups, pools = _numbers(state.groups), _numbers(state.pools)
    projects = _numbers(state.projects)
    workers = [
        WorkerEntry(
            one.id, one.value, _ids(one.value.pools, pools),
            open_secret(one.value.name, state.sealed_secrets.get(one.value.name)),
        )
        for one in state.workers
    ]  # fmt: skip
    entries = [
        ProjectEntry(
            one.id, one.value, _ids(one.value.pools, pools),
            _ids(one.value.viewers, groups), _ids(one.value.operators, groups),
        )
        for one in state.projects
    ]  # fmt: skip
    serving = _turned((worker.id, worker.pool_ids) for worker in workers)
    using = _turned((project.id, project.pool_ids) for project in entries)
    return Snapshot(
        groups={one.id: one.value.name for one in state.groups},
        users={
            one.value.name: UserEntry(one.id, one.value, _ids(one.value.groups, groups))
            for one in state.users
        },
        pools={
            one.id: PoolEntry(one.id, one.value, serving[one.id], using[one.id])
            for one in state.pools
        },
        workers={worker.id: worker for worker in workers},
        worker_by_key={worker.value.api_key: worker for worker in workers if worker.value.api_key},
        projects={project.id: project for project in entries},
        templates={
            one.id: TemplateEntry(one.id, one.value, projects[one.value.project])
            for one in state.templates
        },
    )


def _numbers(stored: Iterable[Stored[N]]) -> dict[str, int]:
    return {one.value.name: one.id for one in stored}


def _ids(names: Iterable[str], numbers: Mapping[str, int]) -> Ids:
    return tuple(sorted(numbers[name] for name in names))


def _turned(links: Iterable[tuple[int, Ids]]) -> defaultdict[int, Ids]:
    """Return, for each id on the right, those on the left that lead to it."""
    turned: defaultdict[int, Ids] = defaultdict(tuple)
    for number, others in links:
        for other in others:
            turned[other] += (number,)
    return turned
