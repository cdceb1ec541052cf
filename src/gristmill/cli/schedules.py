"""``gristmill schedule list | show | run | start | pause | resume | next | log | backfill``."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import Run, Schedule, ScheduleGlance

NEVER = "never: see gristmill schedule start"
_CATCH_UP = {"skip": "left out", "one": "made up for once", "all": "made up for one by one"}

Which = Annotated[str, typer.Argument(metavar="SCHEDULE", help="An id, a name, or PROJECT/NAME.")]


def show_all(
    session: Session,
    *,
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
) -> None:
    """List the schedules."""
    found = list(session.client.schedules(project=project))
    if session.output.as_json:
        session.output.json(found)
        return
    headers = ("ID", "SCHEDULE", "POOL", "RHYTHM", "STATE", "DUE")
    session.output.table(headers, (_row(glance) for glance in found))


def show(session: Session, schedule: Which) -> None:
    """Show everything about a schedule, and its last runs."""
    detail = session.client.schedule(_find(session, schedule))
    runs = session.client.runs(detail.id, limit=10)
    if session.output.as_json:
        session.output.json({"schedule": detail, "runs": runs.runs})
        return
    session.output.facts(f"schedule {detail.project}/{detail.name}", _facts(detail))
    headers = ("RUN", "STATE", "DUE", "STARTED", "RETURNED", "RESULT")
    session.output.table(headers, (_run_row(run) for run in runs.runs))


def run(
    session: Session,
    schedule: Which,
    *,
    chains: Annotated[bool, typer.Option(help="Whether the children follow.")] = True,
) -> None:
    """Run a schedule now, whatever its switches say; prints the run, which is a job too."""
    made = session.client.run_schedule(_find(session, schedule), chains=chains)
    if session.output.as_json:
        session.output.json(made)
    else:
        session.output.line(str(made.id))


def start(
    session: Session,
    schedule: Which,
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Such as 2026-01-31T03:00Z; else the next time, or now."),
    ] = None,
) -> None:
    """Let a schedule that was declared without a first run begin; prints when it does."""
    time = None if at is None else _moment(at, "--at")
    made = session.client.start_schedule(_find(session, schedule), time)
    if session.output.as_json:
        session.output.json(made)
    else:
        session.output.line(f"run {made.id} is due at {_time(made.due_at)}")


def pause(session: Session, schedule: Which) -> None:
    """Let no run begin by the schedule's rhythm."""
    _say(session, session.client.pause_schedule(_find(session, schedule)))


def resume(session: Session, schedule: Which) -> None:
    """Let runs begin by the schedule's rhythm again."""
    _say(session, session.client.resume_schedule(_find(session, schedule)))


def coming(
    session: Session,
    schedule: Which,
    *,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 10,
) -> None:
    """Show when a schedule comes round next."""
    times = session.client.next_times(_find(session, schedule), count)
    if session.output.as_json:
        session.output.json(times)
        return
    for at in times:
        session.output.line(_time(at))
    if not times:
        session.output.note(NEVER)


def log(
    session: Session,
    schedule: Which,
    run_id: Annotated[
        int | None, typer.Argument(metavar="[RUN]", help="Its id; else the run that returned last.")
    ] = None,
) -> None:
    """Print what a run wrote."""
    number = _find(session, schedule)
    text = session.client.run_log(number, _last_run(session, number) if run_id is None else run_id)
    if session.output.as_json:
        session.output.json({"log": text})
    else:
        session.output.raw(text.encode())


def kill(
    session: Session, schedule: Which, run_id: Annotated[int, typer.Argument(metavar="RUN")]
) -> None:
    """Ask whoever has a run to end it."""
    request = session.client.kill_run(_find(session, schedule), run_id)
    if session.output.as_json:
        session.output.json({"kill_request": request})


def backfill(
    session: Session,
    schedule: Which,
    *,
    first: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Such as 2026-01-31T00:00Z.")
    ],
    last: Annotated[str, typer.Option("--to", metavar="TIME", help="The end, included.")],
    chains: Annotated[bool, typer.Option(help="Whether the children follow.")] = False,
) -> None:
    """Run a schedule for each of its times in a period that has passed, one after another."""
    number = _find(session, schedule)
    made = session.client.backfill(
        number, _moment(first, "--from"), _moment(last, "--to"), chains=chains
    )
    if session.output.as_json:
        session.output.json({"runs": made})
        return
    for job in made:
        session.output.line(str(job))


def _last_run(session: Session, schedule: int) -> int:
    from gristmill.domain.errors import NotFoundError

    runs = session.client.runs(schedule, state="completed", limit=1).runs
    if not runs:
        raise NotFoundError(f"no run of schedule {schedule} has returned yet")
    return runs[0].id


def _find(session: Session, text: str) -> int:
    """Return the schedule's id, of a name too when only one has it."""
    from gristmill.domain.errors import InvalidInputError, NotFoundError

    if text.isascii() and text.isdigit():
        return int(text)
    project, _, name = text.rpartition("/")
    found = list(session.client.schedules(project=project or None, name=name))
    if not found:
        raise NotFoundError(f"there is no schedule {text!r}")
    if len(found) > 1:
        choices = ", ".join(f"{one.id} ({one.project}/{one.name})" for one in found)
        raise InvalidInputError(f"several schedules are named {text!r}: {choices}", "schedule")
    return found[0].id


def _moment(text: str, option: str) -> datetime:
    from gristmill.domain.errors import InvalidInputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"{text!r} is no time such as 2026-01-31T03:00Z or 2026-01-31", option
        ) from error
    return moment.astimezone() if moment.tzinfo is None else moment


def _say(session: Session, schedule: "Schedule") -> None:
    if session.output.as_json:
        session.output.json(schedule)
        return
    state = "on" if schedule.enabled else "off"
    session.output.line(f"{schedule.project}/{schedule.name} is {state}")


def _row(glance: "ScheduleGlance") -> tuple[object, ...]:
    rhythm = _rhythm(glance.every, glance.cron)
    return (
        glance.id,
        f"{glance.project}/{glance.name}",
        glance.pool,
        rhythm,
        "on" if glance.active else "held up" if glance.enabled else "off",
        _time(glance.due) if glance.due else "never" if rhythm else None,
    )


def _facts(detail: "Schedule") -> list[tuple[str, object]]:
    rhythm = _rhythm(detail.every, detail.cron)
    return [
        ("id", detail.id),
        ("template", detail.template),
        ("pool", detail.pool),
        ("rhythm", rhythm),
        ("time zone", detail.timezone or None),
        ("not at", ", ".join(f"{one['from']}-{one['to']}" for one in detail.exclude) or None),
        ("jitter", f"up to {detail.jitter:g} s" if detail.jitter else None),
        ("missed times", _CATCH_UP.get(detail.catch_up) if rhythm else None),
        ("state", "on" if detail.active else "held up" if detail.enabled else "off"),
        ("failures", detail.failures or None),
        ("runs", f"{detail.succeeded} succeeded, {detail.failed} failed"),
        ("parent", detail.parent),
        ("children", " ".join(map(str, detail.children)) or None),
        ("next", ", ".join(map(_time, detail.next)) or (NEVER if rhythm else None)),
    ]


def _run_row(run: "Run") -> tuple[object, ...]:
    result = None if run.success is None else "succeeded" if run.success else "failed"
    times = (run.due_at, run.started_at, run.returned_at)
    return (run.id, run.state, *(at and _time(at) for at in times), result)


def _rhythm(every: dict[str, Any] | None, cron: str | None) -> str | None:
    if every is not None:
        count, unit = every["count"], every["unit"]
        return f"every {unit}" if count == 1 else f"every {count} {unit}s"
    return cron


def _time(at: datetime) -> str:
    return at.astimezone().isoformat(sep=" ", timespec="seconds")
