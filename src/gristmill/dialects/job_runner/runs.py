"""Runs: from scheduled to returned."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from gristmill.dialects.job_runner.bodies import Fields
from gristmill.dialects.job_runner.context import Context, Document, Found, Page
from gristmill.dialects.job_runner.declared import value_at
from gristmill.dialects.job_runner.errors import bad, unauthorized
from gristmill.dialects.job_runner.filters import Condition, Filters
from gristmill.dialects.job_runner.jobs import fitting_jobs, narrowed
from gristmill.dialects.job_runner.moments import write_moment
from gristmill.dialects.job_runner.paging import Window
from gristmill.dialects.job_runner.relations import (
    check_in,
    check_operator,
    check_unmoved,
    related_job,
    related_run,
)
from gristmill.dialects.job_runner.uris import optional_uri, uri
from gristmill.domain.runs import RunChange
from gristmill.services.directory import Snapshot
from gristmill.services.schedules.book import Schedules, ScheduleView
from gristmill.services.schedules.pages import RunFilter, RunState, RunView
from gristmill.services.schedules.runs import NewRun, Runs

STATES = {
    "scheduled": RunState.SCHEDULED,
    "in_queue": RunState.IN_QUEUE,
    "started": RunState.STARTED,
    "completed": RunState.COMPLETED,
    "completed_successful": RunState.COMPLETED_SUCCESSFUL,
    "completed_with_errors": RunState.COMPLETED_WITH_ERRORS,
    "completed_with_error": RunState.COMPLETED_WITH_ERRORS,
    "last_completed": RunState.LAST_COMPLETED,
}
"""Any other word selects everything."""

_CORE_NAMES = {
    "schedule_dts": "due_at",
    "enqueue_dts": "enqueued_at",
    "start_dts": "started_at",
    "return_dts": "returned_at",
    "return_success": "success",
    "pid": "pid",
    "is_manual": "manual",
    "schedule_children": "chains",
}
_OF_WORKERS = ("enqueue_dts", "start_dts", "return_dts", "return_success", "pid", "worker")
_OF_RUN: dict[str, Callable[[RunView], Any]] = {
    "is_manual": lambda run: run.manual,
    "schedule_dts": lambda run: run.due_at,
    "worker": lambda run: run.worker_id,
}

Keep = Callable[[RunView], bool]


class RunShelf:
    """The runs of the projects a caller sees."""

    def __init__(self, runs: Runs, schedules: Schedules) -> None:
        self._runs, self._schedules = runs, schedules

    async def page(self, context: Context, filters: Filters, window: Window) -> Page:
        """Return a part of the list."""
        wanted = await self._filter(context, filters)
        page = await self._runs.list(wanted, window.offset, window.limit)
        return Page(page.total, [_write(context, run) for run in page.items])

    async def _filter(self, context: Context, filters: Filters) -> RunFilter:
        of_job = [one for one in filters.conditions if one.path[0] == "job"]
        of_worker = [one for one in filters.conditions if one.path[0] == "worker"]
        kept = [one for one in filters.conditions if one.path[0] in ("is_manual", "schedule_dts")]
        workers = _fitting_workers(context.snapshot, of_worker)
        if any(len(one.path) == 1 and one.matches(None) for one in of_worker):
            # Only a look at each run tells which have no worker.
            workers, kept = None, kept + [one for one in of_worker if len(one.path) == 1]
        return RunFilter(
            project_ids=narrowed(context, filters.project),
            schedule_ids=await fitting_jobs(
                context, self._schedules, [_below(one) for one in of_job]
            )
            if of_job
            else None,
            worker_ids=workers,
            state=STATES.get(dict(context.request.query).get("state", "")),
            keep=_all_of(kept) if kept else None,
        )

    async def find(self, context: Context, ids: Sequence[int]) -> Found:
        """Return the runs with these ids."""
        known = await self._runs.get_many(ids)
        seen = {
            number: _write(context, run)
            for number, run in known.items()
            if context.reach.sees(run.project_id)
        }
        return Found(seen, frozenset(known) - frozenset(seen))

    async def create(self, context: Context, fields: Fields) -> int:
        """Make a run of a job. Raises RefusedError, GristmillError."""
        job = await related_job(context, self._schedules, "job", fields["job"])
        check_operator(context, job.project_id)
        _check_stamps(context, job, fields)
        given = _to_core(context, fields)
        return await self._runs.create(NewRun(schedule_id=job.id, **given))

    async def change(self, context: Context, number: int, fields: Fields) -> None:
        """Change a run as its worker. Raises RefusedError, GristmillError."""
        run = await related_run(context, self._runs, number)
        check_unmoved("job", fields.get("job"), run.schedule_id)
        worker = context.reach.worker
        await self._runs.change(
            number,
            RunChange(**_to_core(context, fields)),
            by_worker=worker.id if worker is not None else None,
        )


def _check_stamps(context: Context, job: ScheduleView, fields: Fields) -> None:
    """Raise RefusedError when a new run tells of what only a worker of its pool can know."""
    stamped = [name for name in _OF_WORKERS if fields.get(name) is not None]
    reach = context.reach
    if stamped and (reach.worker is None or not reach.serves(job.project_id, job.pool_id)):
        raise unauthorized()


def _to_core(context: Context, fields: Fields) -> dict[str, Any]:
    pid = fields.get("pid")
    if pid is not None and pid < 0:
        raise bad("pid", f"{pid} is less than 0")
    given = {core: fields[wire] for wire, core in _CORE_NAMES.items() if wire in fields}
    worker = fields.get("worker")
    if worker is not None:
        check_in("worker", "worker", worker, context.snapshot.workers, context.reach.workers)
        given["worker_id"] = worker
    return given


def _fitting_workers(snapshot: Snapshot, conditions: Iterable[Condition]) -> frozenset[int] | None:
    conditions = tuple(conditions)
    if not conditions:
        return None
    return frozenset(
        number
        for number, worker in snapshot.workers.items()
        if all(
            one.matches(value_at(snapshot, "worker", worker, one.path[1:] or ("id",)))
            for one in conditions
        )
    )


def _below(condition: Condition) -> Condition:
    """Return a condition on a run's job as one on the job itself."""
    return condition._replace(path=condition.path[1:] or ("id",))


def _all_of(conditions: Sequence[Condition]) -> Keep:
    def keep(run: RunView) -> bool:
        return all(one.matches(_OF_RUN[one.path[0]](run)) for one in conditions)

    return keep


def _write(context: Context, run: RunView) -> Document:
    mount, zone = context.mount, context.zone
    return {
        "id": run.id,
        "resource_uri": uri(mount, "run", run.id),
        "job": uri(mount, "job", run.schedule_id),
        "schedule_id": run.set_id,
        **_moments(run, zone),
        "return_success": run.success,
        "pid": run.pid,
        "worker": optional_uri(mount, "worker", run.worker_id),
        "run_log": optional_uri(mount, "run_log", run.log_id),
        "is_manual": run.manual,
        "schedule_children": run.chains,
    }


def _moments(run: RunView, zone: ZoneInfo) -> Document:
    return {
        "schedule_dts": write_moment(run.due_at, zone),
        "enqueue_dts": write_moment(run.enqueued_at, zone),
        "start_dts": write_moment(run.started_at, zone),
        "return_dts": write_moment(run.returned_at, zone),
    }
