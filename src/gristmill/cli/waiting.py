"""``gristmill wait``, and the waiting half of ``submit``."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn, Protocol

import typer

from gristmill.cli import failures, parse
from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import Counts, JobView


class _Bar(Protocol):
    def show(self, done: int, failed: int, total: int) -> None: ...


def wait(
    session: Session,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…")] = None,
    *,
    group: Annotated[str | None, typer.Option(help="All jobs of this group.")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(parser=parse.duration, metavar="TIME", help="Give up (exit 124) after it."),
    ] = None,
) -> None:
    """Wait until jobs have ended; exit 0 when all are complete and 1 when not."""
    if bool(ids) == (group is not None):
        raise typer.BadParameter("give either job ids or --group")
    if group is not None:
        wait_for_group(session, group, timeout)
    else:
        wait_for(session, ids or [], timeout)


def wait_for(session: Session, ids: list[int], timeout: float | None) -> NoReturn:
    """Wait for the jobs, report each, and leave with 0 or 1."""
    ended: list[JobView] = []
    with _bar() as bar:
        bar.show(0, 0, len(ids))
        for view in session.client.wait_all(ids, timeout):
            ended.append(view)
            bar.show(len(ended), sum(not job.succeeded for job in ended), len(ids))
    if session.output.as_json:
        session.output.json(ended)
    else:
        for view in ended:
            session.output.line(f"{view.id} {how_ended(view)}")
    raise typer.Exit(0 if all(view.succeeded for view in ended) else failures.FAILED)


def wait_for_group(session: Session, group: str, timeout: float | None) -> NoReturn:
    """Wait for a group, report its counts, and leave with 0 or 1."""
    counts: Counts | None = None
    with _bar() as bar:
        for counts in session.client.wait_group(group, timeout):
            ended = counts.total - counts.active
            bar.show(ended, ended - counts.succeeded, counts.total)
    assert counts is not None
    if session.output.as_json:
        session.output.json({"group": group, "counts": counts.counts, "total": counts.total})
    else:
        words = (f"{number} {state}" for state, number in counts.counts.items() if number)
        session.output.line(f"{group}: {', '.join(words)}")
    raise typer.Exit(0 if counts.succeeded == counts.total else failures.FAILED)


def follow(session: Session, job_id: int) -> NoReturn:
    """Pass on both streams of a job until it ends, and leave with 0 or 1."""
    session.output.note(f"job {job_id}")
    errors = threading.Thread(target=_pass_on_errors, args=(session, job_id), daemon=True)
    errors.start()
    try:
        for data in session.client.output(job_id, follow=True):
            if not session.output.as_json:
                session.output.raw(data)
        view = session.client.wait(job_id)
        errors.join(timeout=5.0)
    except KeyboardInterrupt:
        session.output.note(f"job {job_id} goes on; end it with: gristmill cancel {job_id}")
        raise
    leave_with(session, view)


def leave_with(session: Session, view: "JobView") -> NoReturn:
    """Say how a job ended, and leave with 0 or 1."""
    if session.output.as_json:
        session.output.json(view)
    elif not view.succeeded:
        session.output.note(f"job {view.id} is {how_ended(view)}")
    raise typer.Exit(0 if view.succeeded else failures.FAILED)


def how_ended(view: "JobView") -> str:
    """Return the state, with exit code and reason where there is a failure."""
    if view.succeeded:
        return view.state
    parts = [] if view.exit_code is None else [f"exit code {view.exit_code}"]
    parts += [view.reason] if view.reason else []
    return f"{view.state} ({', '.join(parts)})" if parts else view.state


def _pass_on_errors(session: Session, job_id: int) -> None:
    from gristmill.domain.errors import GristmillError

    try:
        for data in session.client.output(job_id, "stderr", follow=True):
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
    except GristmillError as error:
        session.output.note(f"the job's standard error is cut off: {failures.one_line(error)}")


class _NoBar:
    def show(self, done: int, failed: int, total: int) -> None:
        """Show nothing."""


@contextmanager
def _bar() -> Iterator[_Bar]:
    if not sys.stderr.isatty():
        yield _NoBar()
        return
    from gristmill.cli.progress import bar

    with bar() as shown:
        yield shown
