"""Which jobs a GET or DELETE is about: identifiers, state and limit."""

from collections.abc import Sequence
from typing import NamedTuple

from gristmill.dialects.wr.keys import KEY_LENGTH
from gristmill.dialects.wr.status import LIVE, by_run
from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.services.house import House
from gristmill.services.queue.glances import Glance
from gristmill.services.queue.views import JobFilter


class Selected(NamedTuple):
    """A job. group: the one it was asked for by, None when it was by its Key or not at all."""

    glance: Glance
    group: str | None


class Wanted(NamedTuple):
    """identifiers: Keys and RepGroups. states: None for any. limit: of similar jobs.

    search: whether an identifier means every RepGroup that contains it.
    """

    identifiers: Sequence[str]
    states: frozenset[JobState] | None
    limit: int | None
    search: bool = False


def identifiers_of(rest: str) -> list[str]:
    """Return the identifiers in what follows the endpoint."""
    return [part for part in rest.split(",") if part]


class Selection:
    """Finds jobs of this interface."""

    def __init__(self, house: House) -> None:
        self._glances, self._similar, self._listing = house.glances, house.similar, house.listing

    async def find(self, who: Identity, wanted: Wanted) -> list[Selected]:
        """Return the jobs, identifier by identifier, not told apart when found twice."""
        if not wanted.identifiers:
            return [Selected(glance, None) for glance in await self._all_live(who, wanted)]
        keys = {name for name in wanted.identifiers if len(name) == KEY_LENGTH}
        by_key = await self._glances.of_keys(who, keys, Dialect.WR) if keys else {}
        found: list[Selected] = []
        for name in wanted.identifiers:
            job = _standing_for(by_key.get(name, ()))
            if job is not None:
                found.append(Selected(job, None))
                continue
            for group in await self._groups(who, name, wanted):
                found += await self._of_group(who, group, wanted)
        return found

    async def _groups(self, who: Identity, name: str, wanted: Wanted) -> list[str]:
        if not wanted.search:
            return [name]
        return await self._listing.groups_with(who, name, Dialect.WR)

    async def _all_live(self, who: Identity, wanted: Wanted) -> list[Glance]:
        states = LIVE if wanted.states is None else wanted.states & LIVE
        if not states:
            return []
        if wanted.limit is None:
            return await self._glances.all(who, _filter(states))
        samples = await self._similar.live(who, _ordered(states), wanted.limit, Dialect.WR)
        return await self._glances.of_samples(samples)

    async def _of_group(self, who: Identity, group: str, wanted: Wanted) -> list[Selected]:
        known = LIVE | {JobState.COMPLETE}
        states = known if wanted.states is None else wanted.states
        if wanted.limit is not None:
            samples = await self._similar.of_group(
                who, group, _ordered(states), wanted.limit, Dialect.WR
            )
            glances = await self._glances.of_samples(samples)
        else:
            glances = await self._glances.all(who, _filter(states, group))
        live = [glance for glance in glances if glance.job.row.head.state in LIVE]
        done = [glance for glance in glances if glance.job.row.head.state is JobState.COMPLETE]
        return [Selected(glance, None) for glance in live] + [
            Selected(glance, group) for glance in sorted(done, key=by_run)
        ]


def _standing_for(glances: Sequence[Glance]) -> Glance | None:
    """Return the job a Key stands for: the live one, else the last that is complete."""
    for states in (LIVE, frozenset({JobState.COMPLETE})):
        for glance in reversed(glances):
            if glance.job.row.head.state in states:
                return glance
    return None


def _filter(states: frozenset[JobState], group: str | None = None) -> JobFilter:
    return JobFilter(states=_ordered(states), group=group, dialect=Dialect.WR)


def _ordered(states: frozenset[JobState]) -> tuple[JobState, ...]:
    return tuple(sorted(states))
