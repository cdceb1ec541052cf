"""``gristmill logs``: what a job wrote."""

from typing import TYPE_CHECKING, Annotated

import typer

from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import StreamName, Where


def logs(
    session: Session,
    job_id: Annotated[int, typer.Argument(metavar="ID")],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the job ends.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Its standard error instead.")] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="Which; else the last.")] = None,
    rank: Annotated[int, typer.Option(min=0, help="Which member of a gang.")] = 0,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many bytes.")] = 0,
) -> None:
    """Print what a job has written, byte for byte.

    With --json: objects with job, stream, offset and text, one for each piece.
    """
    stream: StreamName = "stderr" if stderr else "stdout"
    where: Where = {"offset": offset, "attempt": attempt, "rank": rank}
    for data in session.client.output(job_id, stream, follow=follow, **where):
        if session.output.as_json:
            text = data.decode("utf-8", "replace")
            piece = {"job": job_id, "stream": stream, "offset": offset, "text": text}
            session.output.json(piece)
            offset += len(data)
        else:
            session.output.raw(data)
