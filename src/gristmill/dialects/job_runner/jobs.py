"""Jobs: what this interface calls a schedule."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Context, Found, Page
from gristmill.dialects.job_runner.declared import value_at
from gristmill.dialects.job_runner.filters import Condition, Filters
from gristmill.dialects.job_runner.job_fields import job_refusal, to_change, write_job
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.relations import (
    check_in,
    check_operator,
    check_template,
    related_job,
)
from gristmill.domain.errors import GristmillError
from gristmill.services.directory import Snapshot
from gristmill.services.schedules.book import ScheduleFilter, Schedules, ScheduleView


class _Job(Protocol):
    """What can be filtered by without a look at the whole job."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def template_id(self) -> int: ...


class Jobs:
    """The jobs of the projects a caller sees."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list."""
        projects = narrowed(context, filters.project)
        ids = None
        if filters.conditions:
            ids = await fitting_jobs(context, self._schedules, filters.conditions)
        page = await self._schedules.list(
            ScheduleFilter(project_ids=projects, ids=ids), window.offset, window.limit
        )
        return Page(page.total, [write_job(context.mount, job) for job in page.items])

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the jobs with these ids."""
        known = await self._schedules.get_many(ids)
        seen = {
            number: write_job(context.mount, job)
            for number, job in known.items()
            if context.reach.sees(job.project_id)
        }
        return Found(seen, frozenset(known) - frozenset(seen))

    async def create(self, context: Context, fields: Fields) -> int:
        """Make a job. Raises RefusedError."""
        await self._check_relations(context, fields, None)
        try:
            return await self._schedules.create(to_change(fields))
        except GristmillError as error:
            raise job_refusal(error) from error

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Change a job. Raises RefusedError."""
        known = await related_job(context, self._schedules, "job", number)
        check_operator(context, known.project_id)
        await self._check_relations(context, fields, known)
        try:
            await self._schedules.change(number, to_change(fields))
        except GristmillError as error:
            raise job_refusal(error) from error

    async def _check_relations(
        self, context: Context, fields: Fields, known: ScheduleView | None
    ) -> None:
        """Raise RefusedError unless every relation that changes leads to what the caller sees."""
        template = fields.get("job_template")
        if template is not None and (known is None or template != known.template_id):
            check_operator(context, check_template(context, template))
        pool = fields.get("worker_pool")
        if pool is not None and (known is None or pool != known.pool_id):
            check_in(
                "worker_pool", "worker_pool", pool, context.snapshot.pools, context.reach.pools
            )
        parent = fields.get("parent")
        if parent is not None and (known is None or parent != known.parent_id):
            await related_job(context, self._schedules, "parent", parent)
        for child in fields.get("children", ()):
            if known is None or child not in known.child_ids:
                other = await related_job(context, self._schedules, "children", child)
                check_operator(context, other.project_id)


def narrowed(context: Context, project: int | None) -> frozenset[int]:
    """Return the projects that are seen, and asked for."""
    seen = context.reach.projects
    return seen if project is None else seen.intersection({project})


async def fitting_jobs(
    context: Context, schedules: Schedules, conditions: Iterable[Condition]
) -> frozenset[int]:
    """Return the jobs of which all conditions hold."""
    conditions = tuple(conditions)
    return frozenset(
        job.id
        for job in await schedules.index()
        if all(one.matches(_value(context.snapshot, job, one.path)) for one in conditions)
    )


def _value(snapshot: Snapshot, job: _Job, path: tuple[str, ...]) -> Any:
    name, rest = path[0], path[1:]
    if name == "id":
        return job.id
    if name == "title":
        return job.name
    template = snapshot.templates.get(job.template_id)
    if rest and template is not None:
        return value_at(snapshot, "job_template", template, rest)
    return job.template_id if not rest else None
