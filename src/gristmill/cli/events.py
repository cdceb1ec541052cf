"""``gristmill events``: what happens, as it happens."""

from typing import Annotated

import typer

from gristmill.cli.session import Session


def events(
    session: Session,
    *,
    after: Annotated[int | None, typer.Option(min=0, help="From the one after this id.")] = None,
    job: Annotated[int | None, typer.Option(metavar="ID", help="Only about this job.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="PREFIX", help="Such as job. alone.")] = None,
) -> None:
    """Print events until interrupted; with --json one object a line."""
    for event in session.client.events(after=after, job_id=job, kind=kind):
        if session.output.as_json:
            session.output.json(event)
        else:
            time = event.at.astimezone().isoformat(sep=" ", timespec="milliseconds")
            ids = ",".join(str(job_id) for job_id in event.jobs)
            session.output.raw(f"{event.id} {time} {event.kind} {ids}".rstrip().encode() + b"\n")
