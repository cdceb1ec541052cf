"""``gristmill workflow submit | status | graph | list | wait | cancel | retry``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gristmill.cli import failures, parse
from gristmill.cli.files import read_text
from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.workflow_models import WorkflowDetail, WorkflowView
    from gristmill.domain.workflow import WorkflowSpec

Id = Annotated[int, typer.Argument(metavar="ID")]
Timeout = Annotated[
    float | None,
    typer.Option(parser=parse.duration, metavar="TIME", help="Give up (exit 124) after it."),
]


def submit(
    session: Session,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A workflow in JSON or YAML; - is stdin.")
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A mark to find it by.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
) -> None:
    """Add a workflow and print its id."""
    spec = _read(read_text(file), name, parse.pairs(label, "--label"))
    view = session.client.workflows.submit(spec)
    if wait:
        _wait(session, view.id, None)
    if session.output.as_json:
        session.output.json(view)
    else:
        session.output.line(str(view.id))


def status(session: Session, workflow: Id) -> None:
    """Show a workflow: how far it is, and each of its nodes."""
    detail = session.client.workflows.get(workflow)
    if session.output.as_json:
        session.output.json(detail)
        return
    session.output.facts(f"workflow {detail.id}", _facts(detail))
    headers = ("NODE", "TOTAL", "DONE", "FAILED", "QUEUED", "WAITING", "AFTER")
    rows = (
        (
            node.name,
            node.progress.total,
            node.progress.done,
            node.progress.failed,
            node.progress.queued,
            node.progress.waiting,
            " ".join(node.after),
        )
        for node in detail.nodes
    )
    session.output.table(headers, rows)


def graph(
    session: Session,
    workflow: Id,
    *,
    dot: Annotated[bool, typer.Option("--dot", help="For Graphviz.")] = False,
) -> None:
    """Draw what waits for what."""
    from gristmill.cli.graphs import as_dot, as_text

    detail = session.client.workflows.get(workflow)
    if session.output.as_json:
        session.output.json(detail.nodes)
        return
    for line in as_dot(detail) if dot else as_text(detail):
        session.output.line(line)


def show(
    session: Session,
    *,
    state: Annotated[str | None, typer.Option(help="Only these, such as running,failed.")] = None,
    name: Annotated[str | None, typer.Option(help="Only with this name.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with this label.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List workflows, the newest first."""
    found = session.client.workflows.list(
        state=[state] if state else [],
        name=name,
        label=parse.pairs(label, "--label"),
        limit=limit,
    )
    views = list(islice(found, limit))
    if session.output.as_json:
        session.output.json(views)
        return
    headers = ("ID", "STATE", "NAME", "DONE", "FAILED", "TOTAL", "AGE")
    session.output.table(headers, (_row(view) for view in views))


def wait(session: Session, workflow: Id, *, timeout: Timeout = None) -> None:
    """Wait until a workflow has ended; exit 0 when it is completed and 1 when not."""
    _wait(session, workflow, timeout)


def cancel(session: Session, workflow: Id) -> None:
    """End a workflow with all its jobs."""
    _print(session, session.client.workflows.cancel(workflow))


def retry(session: Session, workflow: Id) -> None:
    """Run what did not succeed as a new workflow, and print its id."""
    view = session.client.workflows.retry(workflow)
    if session.output.as_json:
        session.output.json(view)
    else:
        session.output.line(str(view.id))


def _read(text: str, name: str | None, labels: dict[str, str]) -> "WorkflowSpec":
    import msgspec

    from gristmill.cli.specs import invalid
    from gristmill.domain.errors import InvalidInputError
    from gristmill.domain.workflow import WorkflowSpec, check_workflow

    document = _document(text)
    if not isinstance(document, dict):
        raise InvalidInputError("a workflow must be an object with jobs in it")
    if name is not None:
        document["name"] = name
    if labels:
        document["labels"] = {**(document.get("labels") or {}), **labels}
    try:
        spec = msgspec.convert(document, WorkflowSpec)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    check_workflow(spec)
    return spec


def _document(text: str) -> Any:
    import msgspec
    import yaml

    from gristmill.domain.errors import InvalidInputError

    # JSON first: a number such as 1e-3 is text to YAML.
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"this is neither JSON nor YAML: {error}") from error


def _wait(session: Session, workflow: int, timeout: float | None) -> None:
    view = session.client.workflows.wait(workflow, timeout)
    _print(session, view)
    raise typer.Exit(0 if view.succeeded else failures.FAILED)


def _print(session: Session, view: "WorkflowView") -> None:
    if session.output.as_json:
        session.output.json(view)
    else:
        progress = view.progress
        ended = f"{progress.done} of {progress.total} jobs done, {progress.failed} failed"
        session.output.line(f"{view.id} {view.state}: {ended}")


def _facts(detail: "WorkflowDetail") -> Iterator[tuple[str, object]]:
    progress = detail.progress
    yield "state", detail.state
    yield "name", detail.name or None
    yield "labels", " ".join(f"{key}={word}" for key, word in detail.labels.items()) or None
    yield "owner", detail.owner
    yield "jobs", progress.total
    for word in ("done", "failed", "queued", "waiting"):
        yield word, getattr(progress, word)
    for word in ("created", "started", "ended"):
        time: datetime | None = getattr(detail, f"{word}_at")
        yield word, time and time.astimezone().isoformat(sep=" ", timespec="seconds")
    yield "runs again", detail.rerun_of and f"what failed of {detail.rerun_of}"


def _row(view: "WorkflowView") -> tuple[object, ...]:
    from gristmill.domain.units import format_duration

    age = format_duration((datetime.now(UTC) - view.created_at).total_seconds())
    progress = view.progress
    return (view.id, view.state, view.name, progress.done, progress.failed, progress.total, age)
