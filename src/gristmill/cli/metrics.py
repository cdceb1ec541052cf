"""``gristmill metrics``: what runs measured."""

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from gristmill.cli import plots
from gristmill.cli.session import Session
from gristmill.domain.errors import NotFoundError

if TYPE_CHECKING:
    from gristmill.client.models import Series

DRAWN = 500
"""Points of a curve; more could not be told apart."""

Of = Annotated[str, typer.Argument(metavar="RUN", help="A job's id, or the name of a source.")]
Names = Annotated[
    list[str] | None, typer.Option("--name", metavar="NAME", help="Only this series; repeatable.")
]


def sources(session: Session) -> None:
    """List the sources of metrics that are yours."""
    found: list[str] = []
    while more := session.client.metric_sources(found[-1] if found else ""):
        found += more
    if session.output.as_json:
        session.output.json(found)
    else:
        session.output.raw("".join(f"{name}\n" for name in found).encode())


def show(
    session: Session,
    run: Of,
    *,
    name: Names = None,
    last: Annotated[int, typer.Option(min=0, help="Only the last so many; 0: all.")] = 0,
) -> None:
    """Print points; without --name the latest value of each series."""
    latest = not name and not last
    found = _read(session, run, name, last=1 if latest else last)
    if session.output.as_json:
        session.output.json(found)
        return
    rows = [
        (series, point.at.astimezone().isoformat(sep=" ", timespec="seconds"), point.value)
        for series, points in found.series.items()
        for point in points
    ]
    session.output.table(("SERIES", "AT", "VALUE"), rows)


def plot(
    session: Session,
    run: Of,
    *,
    name: Names = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write a PNG there.")
    ] = None,
    height: Annotated[int, typer.Option(min=3, max=200, help="Lines of a plot.")] = 10,
) -> None:
    """Plot series, in the terminal or as PNG; running totals are shown as rates."""
    found = _read(session, run, name, summarize=DRAWN)
    curves = {series: plots.curve_of(points) for series, points in found.series.items()}
    curves = {series: curve for series, curve in curves.items() if curve}
    if not curves:
        raise NotFoundError(f"{run} has no numbers to plot")
    if output is not None:
        plots.write_png(output, f"Run {run}", curves)
        session.output.note(f"wrote {output}")
        return
    width = shutil.get_terminal_size().columns
    for series, curve in curves.items():
        session.output.line(series)
        lines = plots.draw(curve, width=width, height=height)
        session.output.raw("".join(f"{line}\n" for line in lines).encode())


def _read(
    session: Session, run: str, names: list[str] | None, *, summarize: int = 0, last: int = 0
) -> "Series":
    """Return series of a job or a source, those of these names in their order."""
    digits = run.isascii() and run.isdigit()
    job, source = (int(run), None) if digits else (None, run)
    client = session.client
    if not names:
        return client.metrics(job_id=job, source=source, summarize=summarize, last=last)
    parts = [
        client.metrics(job_id=job, source=source, name=name, summarize=summarize, last=last)
        for name in names
    ]
    for part in parts[1:]:
        parts[0].series.update(part.series)
    return parts[0]
