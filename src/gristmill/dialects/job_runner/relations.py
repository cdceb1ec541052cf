"""Relations in a body must lead to something, and to something in the caller's scope."""

from collections.abc import Mapping

from gristmill.dialects.job_runner.context import Context
from gristmill.dialects.job_runner.errors import RefusedError, bad, unauthorized
from gristmill.dialects.job_runner.uris import uri
from gristmill.services.schedules.book import Schedules, ScheduleView
from gristmill.services.schedules.pages import RunView
from gristmill.services.schedules.runs import Runs


def nothing_there(field: str, resource: str, number: int) -> RefusedError:
    """Return the refusal of a URI that leads nowhere."""
    return bad(field, f"there is nothing at {uri('', resource, number)}")


def check_in(
    field: str, resource: str, number: int, there: Mapping[int, object], seen: frozenset[int]
) -> None:
    """Raise RefusedError unless the id is among those there are, and those that are seen."""
    if number not in there:
        raise nothing_there(field, resource, number)
    if number not in seen:
        raise unauthorized()


def check_template(context: Context, number: int) -> int:
    """Return the project of a template the caller sees. Raises RefusedError."""
    template = context.snapshot.templates.get(number)
    if template is None:
        raise nothing_there("job_template", "job_template", number)
    if not context.reach.sees(template.project_id):
        raise unauthorized()
    return template.project_id


async def related_job(
    context: Context, schedules: Schedules, field: str, number: int
) -> ScheduleView:
    """Return a job the caller sees. Raises RefusedError."""
    schedule = (await schedules.get_many([number])).get(number)
    if schedule is None:
        raise nothing_there(field, "job", number)
    if not context.reach.sees(schedule.project_id):
        raise unauthorized()
    return schedule


async def related_run(context: Context, runs: Runs, number: int) -> RunView:
    """Return a run the caller sees. Raises RefusedError."""
    run = (await runs.get_many([number])).get(number)
    if run is None:
        raise nothing_there("run", "run", number)
    if not context.reach.sees(run.project_id):
        raise unauthorized()
    return run


def serves_run(context: Context, run: RunView | None) -> bool:
    """Whether the kill requests and the log of a run are in the caller's scope."""
    return run is not None and context.reach.serves(run.project_id, run.pool_id)


def check_operator(context: Context, project: int) -> None:
    """Raise RefusedError for a person who may only look. Workers act wherever they see."""
    if context.reach.worker is None and project not in context.reach.operated:
        raise unauthorized()


def check_unmoved(field: str, given: int | None, known: int) -> None:
    """Raise RefusedError when a body would hand an object over to another one."""
    if given is not None and given != known:
        raise bad(field, "cannot be changed: make a new object instead")
