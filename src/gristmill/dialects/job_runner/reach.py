"""Which objects a caller may touch."""

from collections.abc import Iterable
from typing import NamedTuple

from gristmill.services.directory import ProjectEntry, Snapshot, WorkerEntry

Ids = frozenset[int]


class Reach(NamedTuple):
    """What a caller sees, as ids.

    worker: the caller, when it is one. operated: projects a logged-in person may act in.
    """

    worker: WorkerEntry | None
    groups: Ids
    projects: Ids
    pools: Ids
    workers: Ids
    operated: Ids

    def sees(self, project: int) -> bool:
        """Whether jobs of a project, and their runs, are in scope: whatever their pool."""
        return project in self.projects

    def serves(self, project: int, pool: int) -> bool:
        """Whether kill requests and logs are in scope: workers see those of their pools only."""
        return self.sees(project) and (self.worker is None or pool in self.pools)

    @property
    def served_pools(self) -> Ids | None:
        """The pools that kill requests and logs are narrowed to, None for all."""
        return None if self.worker is None else self.pools


def reach_of_worker(snapshot: Snapshot, worker: WorkerEntry) -> Reach:
    """Return what a worker sees: the projects that use one of its pools, and itself alone."""
    pools = frozenset(worker.pool_ids)
    projects = [one for one in snapshot.projects.values() if pools.intersection(one.pool_ids)]
    return Reach(
        worker=worker,
        groups=_union(one.viewer_ids for one in projects),
        projects=frozenset(one.id for one in projects),
        pools=pools,
        workers=frozenset({worker.id}),
        operated=frozenset(),
    )


def reach_of_user(snapshot: Snapshot, groups: Iterable[int]) -> Reach:
    """Return what a person sees: the projects that one of the groups may view."""
    mine = frozenset(groups)
    projects = [one for one in snapshot.projects.values() if mine.intersection(one.viewer_ids)]
    pools = _union(one.pool_ids for one in projects)
    return Reach(
        worker=None,
        groups=mine,
        projects=frozenset(one.id for one in projects),
        pools=pools,
        workers=_union(snapshot.pools[pool].worker_ids for pool in pools),
        operated=frozenset(one.id for one in projects if _operates(one, mine)),
    )


def _operates(project: ProjectEntry, groups: Ids) -> bool:
    return bool(groups.intersection(project.operator_ids))


def _union(many: Iterable[Iterable[int]]) -> Ids:
    return frozenset(number for numbers in many for number in numbers)
