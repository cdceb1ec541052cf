"""Lists of jobs, page by page, so that a long one costs no more memory than a short one."""

from collections.abc import AsyncIterator, Sequence

from gristmill.dialects.prominence.describe import description_of, name_of
from gristmill.dialects.prominence.filters import Filter, Selection
from gristmill.dialects.prominence.states import (
    ENDED,
    RUNNING,
    never_submitted,
    standing,
)
from gristmill.dialects.prominence.translate import LONGEST_LABEL_NAME
from gristmill.domain.dialect import Dialect
from gristmill.domain.identity import Identity
from gristmill.domain.state import HELD, JobState
from gristmill.services.house import House
from gristmill.services.queue.views import MOST_A_PAGE, JobFilter, Listed

_HELD = tuple(sorted(HELD))


class Lists:
    """Finds the jobs of one caller that came in through this interface."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def pages(self, who: Identity, wanted: Filter) -> AsyncIterator[list[Listed]]:
        """Yield what is wanted: the ended ones by their end, all others by id."""
        if wanted.ids is None and wanted.selection is Selection.ENDED:
            async for page in self._ended(who, wanted):
                yield page
            return
        for narrowed in _narrow(who, wanted):
            async for page in self._by_id(who, narrowed):
                if found := [job for job in page if _fits(job, wanted)]:
                    yield found

    async def _by_id(self, who: Identity, narrowed: JobFilter) -> AsyncIterator[list[Listed]]:
        cursor: int | None = 0
        while cursor is not None:
            page = await self._house.listing.page(
                who, narrowed, limit=MOST_A_PAGE, cursor=cursor, newest=False
            )
            yield page.jobs
            cursor = page.cursor

    async def _ended(self, who: Identity, wanted: Filter) -> AsyncIterator[list[Listed]]:
        """Yield what is wanted of all that counts as ended, each job once."""
        left, ending = wanted.most, set[int]()
        async for page, sure in self._ending_then_ended(who, wanted):
            found = [job for job in page if job.row.head.id not in ending and _fits(job, wanted)][
                :left
            ]
            if not sure:
                # It may really have ended by the time those that have are read.
                ending.update(job.row.head.id for job in found)
            if found:
                yield found
            if left is not None:
                left -= len(found)
                if left <= 0:
                    return

    async def _ending_then_ended(
        self, who: Identity, wanted: Filter
    ) -> AsyncIterator[tuple[list[Listed], bool]]:
        """Yield what is being ended just now, then, with True, what has ended."""
        held = JobFilter(states=_HELD, owner=who.user, dialect=Dialect.PROMINENCE)
        async for page in self._by_id(who, held):
            yield [job for job in page if job.row.head.cancel_requested], False
        for name in _stored_names(wanted.name):
            cursor: tuple[float, int] | None = None
            while True:
                ended = await self._house.recent.ended(
                    who,
                    Dialect.PROMINENCE,
                    name=name,
                    labels=_indexed(wanted.labels),
                    limit=MOST_A_PAGE if wanted.most is None else _page(wanted.most),
                    cursor=cursor,
                )
                yield ended.jobs, True
                cursor = ended.cursor
                if cursor is None:
                    break


def _page(most: int) -> int:
    return min(most + 1, MOST_A_PAGE)


def _narrow(who: Identity, wanted: Filter) -> Sequence[JobFilter]:
    """Return what to ask the core for; it may be more than is wanted."""
    name = wanted.name if wanted.name is not None and "/" not in wanted.name else None
    labels = _indexed(wanted.labels)
    base = JobFilter(owner=who.user, dialect=Dialect.PROMINENCE, name=name, labels=labels)
    if wanted.ids is not None and wanted.of_workflow:
        return [base._replace(workflow=workflow) for workflow in wanted.ids]
    if wanted.ids is not None:
        return [base._replace(ids=wanted.ids)]
    if wanted.status == RUNNING:
        return [base._replace(states=(JobState.RUNNING,))]
    if wanted.selection is Selection.CURRENT or wanted.status is not None:
        return [base._replace(current=True)]
    return [base]


def _stored_names(name: str | None) -> Sequence[str | None]:
    """Return the names under which the core may know jobs that are called this.

    A job of a workflow is stored under its short name, and called ``workflow/job/0`` too.
    """
    if name is None or "/" not in name:
        return (name,)
    *_, before, last = name.split("/")
    return tuple(dict.fromkeys((name, last, before)))


def _indexed(labels: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(label for label in labels if len(label[0]) <= LONGEST_LABEL_NAME)


def _fits(job: Listed, wanted: Filter) -> bool:
    head = job.row.head
    if never_submitted(head):
        return False
    status = standing(head).status
    if wanted.status is not None and status != wanted.status:
        return False
    if wanted.ids is None or wanted.of_workflow:
        ended = status in ENDED
        kept = job.row.spec.stays_listed
        if wanted.selection is Selection.CURRENT and ended and not kept:
            return False
        if wanted.selection is Selection.ENDED and not ended:
            return False
    return _named(job, wanted)


def _named(job: Listed, wanted: Filter) -> bool:
    if wanted.name is None and not wanted.labels:
        return True
    description = description_of(job)
    labels = description.get("labels", {})
    names = (description.get("name", ""), name_of(job, description))
    return (wanted.name is None or wanted.name in names) and all(
        labels.get(key) == value for key, value in wanted.labels
    )
