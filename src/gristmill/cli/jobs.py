"""``gristmill status | jobs | cancel | retry``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gristmill.cli import failures, parse
from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import Changed, JobDetail, JobFilters, JobView

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]…")]
Group = Annotated[str | None, typer.Option(help="Only this group.")]
States = Annotated[str | None, typer.Option("--state", help="Only these, such as ready,running.")]


def status(session: Session, ids: Ids = None) -> None:
    """Show everything about jobs; without ids, how the server does."""
    if not ids:
        _show_server(session)
        return
    details = [session.client.get(job_id) for job_id in ids]
    if session.output.as_json:
        session.output.json(details)
        return
    for detail in details:
        _show_job(session, detail)


def jobs(
    session: Session,
    *,
    state: States = None,
    group: Group = None,
    owner: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    name: Annotated[str | None, typer.Option(help="Only with this name.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with this label.")
    ] = None,
    workflow: Annotated[
        int | None, typer.Option(metavar="ID", help="Only jobs of this workflow.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    every: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first.")] = False,
) -> None:
    """List jobs, the newest first."""
    filters: JobFilters = {
        "state": parse.states(state),
        "group": group,
        "owner": owner,
        "name": name,
        "label": parse.pairs(label, "--label"),
        "workflow": workflow,
        "order": "oldest" if oldest else "newest",
        "limit": 1000 if every else min(limit, 1000),
    }
    found = session.client.jobs(**filters)
    views = found if every else islice(found, limit)
    if session.output.as_json:
        _print_array(session, views)
        return
    headers = ("ID", "STATE", "NAME", "GROUP", "AGE", "TIME", "EXIT", "COMMAND")
    session.output.table(headers, (_row(view) for view in views))


def cancel(session: Session, ids: Ids = None, *, group: Group = None, state: States = None) -> None:
    """End jobs, with everything they started."""
    _change(session, "cancel", ids, group, state)


def retry(session: Session, ids: Ids = None, *, group: Group = None, state: States = None) -> None:
    """Run ended jobs again."""
    _change(session, "retry", ids, group, state)


def _change(
    session: Session, verb: str, ids: list[int] | None, group: str | None, state: str | None
) -> None:
    states = parse.states(state)
    if bool(ids) == bool(group or states):
        raise typer.BadParameter("give either job ids, or --group and --state")
    if ids and len(ids) == 1:
        view = session.client.cancel(ids[0]) if verb == "cancel" else session.client.retry(ids[0])
        _print_changed(session, [view.id], f"{view.id} {view.state}")
        return
    many = session.client.cancel_many if verb == "cancel" else session.client.retry_many
    changed = many(ids or (), group=group, states=states)
    _print_many(session, changed)
    if ids and changed.unchanged:
        raise typer.Exit(failures.FAILED)


def _print_changed(session: Session, ids: list[int], text: str) -> None:
    if session.output.as_json:
        session.output.json({"changed": ids, "unchanged": []})
    else:
        session.output.line(text)


def _print_many(session: Session, changed: "Changed") -> None:
    if session.output.as_json:
        session.output.json(changed)
        return
    for job_id in changed.changed:
        session.output.line(str(job_id))
    for left in changed.unchanged:
        session.output.note(f"{left.id} is {left.state} and was left so")


def _print_array(session: Session, views: "Iterator[JobView]") -> None:
    import msgspec

    session.output.raw(b"[")
    for number, view in enumerate(views):
        session.output.raw((b",\n" if number else b"") + msgspec.json.encode(view))
    session.output.raw(b"]\n")


def _row(view: "JobView") -> tuple[object, ...]:
    from gristmill.domain.units import format_duration

    now = datetime.now(UTC)
    age = format_duration((now - view.created_at).total_seconds())
    return (
        view.id,
        view.state,
        view.name,
        view.group,
        age,
        _took(view.started_at, view.ended_at),
        view.exit_code,
        view.command,
    )


def _took(start: datetime | None, end: datetime | None) -> str | None:
    from gristmill.domain.units import format_duration

    if start is None:
        return None
    return format_duration(max(0.0, ((end or datetime.now(UTC)) - start).total_seconds()))


def _show_job(session: Session, job: "JobDetail") -> None:
    from gristmill.domain.units import format_size_mb

    asked = job.resources
    wanted = f"{asked.cpus:g} cpus, {format_size_mb(asked.memory)} memory"
    wanted += f", {asked.gpus} gpus" if asked.gpus else ""
    wanted += f", {asked.nodes} nodes" if asked.nodes > 1 else ""
    facts = (
        ("state", job.state),
        ("why", job.why or None),
        ("exit code", job.exit_code),
        ("command", job.command),
        ("name", job.name or None),
        ("group", job.group or None),
        ("labels", " ".join(f"{key}={word}" for key, word in job.labels.items()) or None),
        ("owner", job.owner),
        ("asks for", wanted),
        ("submitted", _when(job.created_at)),
        ("not before", _when(job.ready_at)),
        ("started", _when(job.started_at)),
        ("ended", _when(job.ended_at)),
        ("took", _took(job.started_at, job.ended_at)),
        ("attempts", job.attempts),
        ("tries left", job.retries_left or None),
        ("agent", job.agent),
        ("folder", job.cwd),
        ("peak memory", None if job.peak_memory is None else format_size_mb(job.peak_memory)),
        ("cpu seconds", None if job.cpu_seconds is None else f"{job.cpu_seconds:.2f}"),
    )
    session.output.facts(f"job {job.id}", facts)


def _when(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone().isoformat(sep=" ", timespec="seconds")


def _show_server(session: Session) -> None:
    from gristmill.domain.units import format_duration

    info, counts = session.client.info(), session.client.counts()
    if session.output.as_json:
        session.output.json({"server": info, "counts": counts.counts, "total": counts.total})
        return
    about = (
        ("version", info.version),
        ("url", session.client.location.url),
        ("user", info.user),
        ("engine", info.engine or None),
        ("up for", format_duration(info.uptime)),
    )
    session.output.facts("server", about)
    numbers = ((state, number) for state, number in counts.counts.items() if number)
    session.output.facts(f"{counts.total} jobs", numbers)
